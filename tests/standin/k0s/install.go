package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// The script is SysV's, as the genuine one writes it where there is no systemd.
const initScript = `#!/bin/sh
# k0s service, made by install
cmd=%q
name=%s
pid_file=/var/run/$name.pid
is_running() { [ -f "$pid_file" ] && [ -n "$(cat "/proc/$(cat "$pid_file")/cmdline" 2>/dev/null | tr -d '\000')" ]; }
case "$1" in
start)
  if is_running; then echo "Already started"; exit 0; fi
  echo "Starting $name"
  $cmd >>"/var/log/$name.log" 2>>"/var/log/$name.err" </dev/null &
  echo $! >"$pid_file"
  ;;
stop)
  if ! is_running; then echo "Not running"; exit 1; fi
  kill "$(cat "$pid_file")"
  for _ in $(seq 60); do is_running || break; sleep 0.5; done
  if is_running; then echo "Not stopped"; exit 1; fi
  rm -f "$pid_file"
  ;;
restart) "$0" stop; "$0" start ;;
status)
  if is_running; then echo "Running"; else echo "Stopped"; exit 1; fi
  ;;
*) echo "Usage: $0 {start|stop|restart|status}"; exit 1 ;;
esac
`

func unit(role string) string { return "k0s" + role }

func install(f flags) error {
	role := f.arg(0)
	if role != "controller" && role != "worker" {
		return fmt.Errorf("unknown command %q for \"k0s install\"", role)
	}
	if role == "controller" {
		if _, err := load(f.or("config", configFile), f.on("single")); err != nil {
			return fmt.Errorf("invalid node config: %w", err)
		}
	}
	path := "/etc/init.d/" + unit(role)
	if exists(path) && !f.on("force") {
		return fmt.Errorf("failed to install %s service: Init already exists: %s", role, path)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	words := []string{self, role}
	for _, each := range os.Args[3:] {
		if each != "--force" && each != "--start" {
			words = append(words, each)
		}
	}
	text := fmt.Sprintf(initScript, strings.Join(words, " "), unit(role))
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		return err
	}
	for _, level := range []string{"2", "3", "4", "5"} {
		link := fmt.Sprintf("/etc/rc%s.d/S50%s", level, unit(role))
		os.Remove(link)
		os.Symlink(path, link)
	}
	return nil
}

func installed() string {
	for _, role := range []string{"controller", "worker"} {
		if path := "/etc/init.d/" + unit(role); exists(path) {
			return path
		}
	}
	return ""
}

// start fails from the stopped state without systemd, as the genuine one does.
func start(flags) error {
	if path := installed(); path != "" && exec.Command(path, "status").Run() == nil {
		return errors.New("already running")
	}
	return errors.New("exit status 1")
}

func stop(flags) error {
	if path := installed(); path != "" && exec.Command(path, "stop").Run() == nil {
		return nil
	}
	return errors.New("exit status 1")
}

func sysinfo(f flags) error {
	type probe struct {
		Path        []string `json:"path"`
		DisplayName string   `json:"displayName"`
		Prop        string   `json:"prop"`
		Message     string   `json:"message"`
		Category    string   `json:"category"`
		Error       string   `json:"error,omitempty"`
	}
	cgroup := probe{Path: []string{"cgroups"}, DisplayName: "cgroup version", Prop: "version 2", Category: "pass"}
	if !exists("/sys/fs/cgroup/cgroup.controllers") {
		cgroup.Prop, cgroup.Category = "version 1", "rejected"
	}
	if err := printJSON([]probe{{Path: []string{"os"}, DisplayName: "Operating system", Prop: "Linux", Category: "pass"}, cgroup}); err != nil {
		return err
	}
	if cgroup.Category == "rejected" {
		return errors.New("sysinfo failed")
	}
	return nil
}
