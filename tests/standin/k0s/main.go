// Command k0s is a stand-in for the packaging of k0s, for tests on machines that can have no k0s.
//
// It starts genuine Kubernetes parts (etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, and KWOK for the node) and offers the verbs that the platforms call,
// with the outputs, exit codes and quirks that were measured on the genuine binary.
// It proves nothing about k0s itself. See README.md beside this folder.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Linked in: what it says it is, and where its parts are if they are not on PATH.
var (
	version = "v1.36.3+k0s.0"
	parts   = "/usr/libexec/k0s-standin"
	stages  = "/usr/libexec/k0s-standin/stages.yaml"
)

const (
	runDir     = "/run/k0s"
	configFile = "/etc/k0s/k0s.yaml"
)

// flags are what a verb was given: every flag of k0s that the platforms use takes this shape.
type flags struct {
	values map[string]string
	args   []string
}

// known without a value; every other flag takes one, as --name=value or --name value.
var switches = map[string]bool{
	"single": true, "enable-worker": true, "no-taints": true, "ignore-pre-flight-checks": true,
	"debug": true, "json": true, "all": true, "force": true, "wait": true, "start": true,
	"ignore-daemonsets": true, "delete-emptydir-data": true, "disable-telemetry": true,
	"enable-dynamic-config": true, "ignore-not-found": true, "enable-cloud-provider": true, "quiet": true, "verbose": true,
}

var short = map[string]string{"c": "config", "o": "out", "d": "debug", "n": "namespace", "q": "quiet", "v": "verbose"}

func parse(words []string) flags {
	found := flags{values: map[string]string{}}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "-" || !strings.HasPrefix(word, "-") {
			found.args = append(found.args, word)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if long, ok := short[name]; ok && !strings.HasPrefix(word, "--") {
			name = long
		}
		if !given {
			if switches[name] {
				value = "true"
			} else if i+1 < len(words) {
				i++
				value = words[i]
			}
		}
		found.values[name] = value
	}
	return found
}

func (f flags) on(name string) bool { return f.values[name] == "true" }

func (f flags) or(name, fallback string) string {
	if value := f.values[name]; value != "" {
		return value
	}
	return fallback
}

func (f flags) dataDir() string { return f.or("data-dir", "/var/lib/k0s") }

func (f flags) pki(name string) string { return filepath.Join(f.dataDir(), "pki", name) }

func (f flags) arg(i int) string {
	if i < len(f.args) {
		return f.args[i]
	}
	return ""
}

var verbs = map[string]func(flags) error{
	"backup":     backup,
	"config":     configVerb,
	"controller": controller,
	"ctr":        ctr,
	"etcd":       etcdVerb,
	"install":    install,
	"kubeconfig": kubeconfigVerb,
	"kubectl":    kubectl,
	"reset":      reset,
	"restore":    restore,
	"status":     status,
	"start":      start,
	"stop":       stop,
	"sysinfo":    sysinfo,
	"token":      token,
	"version":    versionVerb,
	"worker":     worker,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Println("k0s - the zero friction Kubernetes (a stand-in for tests)")
		return
	}
	verb, ok := verbs[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "Error: unknown command %q for \"k0s\"\n", os.Args[1])
		os.Exit(1)
	}
	if err := verb(parse(os.Args[2:])); err != nil {
		if fatal, ok := err.(fatalError); ok {
			fmt.Fprintf(os.Stderr, "time=\"2026-01-01 00:00:00\" level=fatal msg=%q\n", string(fatal))
		} else if plain, ok := err.(plainError); ok {
			fmt.Fprintln(os.Stderr, string(plain))
		} else {
			fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		}
		os.Exit(1)
	}
}

// fatalError and plainError are printed without the prefix `Error: `.
type (
	fatalError string
	plainError string
)

func (e fatalError) Error() string { return string(e) }
func (e plainError) Error() string { return string(e) }

func versionVerb(f flags) error {
	if !f.on("json") || f.on("all") {
		fmt.Println(version)
		return nil
	}
	kubernetes, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "+")
	return printJSON(map[string]any{
		"k0s": version, "kubernetes": kubernetes, "containerd": "2.3.4", "runc": "1.5.1",
		"etcd": "3.6.8", "kine": "0.16.4", "konnectivity": "0.34.0",
	})
}

func printJSON(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		fmt.Println(string(text))
	}
	return err
}

func logf(format string, words ...any) {
	fmt.Printf("level=info msg=%q\n", fmt.Sprintf(format, words...))
}
