package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

// config is the part of k0s' ClusterConfig that means something here.
type config struct {
	text         string
	address      string
	external     string
	sans         []string
	port         int
	storage      string
	peer         string
	podCIDR      string
	serviceCIDR  string
	failCgroupV1 bool
	extra        map[string]map[string]string
}

var specKeys = map[string]bool{
	"api": true, "storage": true, "network": true, "workerProfiles": true, "telemetry": true,
	"controllerManager": true, "scheduler": true, "extensions": true, "images": true,
	"featureGates": true, "konnectivity": true, "installConfig": true,
}

// load reads the file, or gives the defaults where there is none: that is how a stopped k0s
// comes to name the wrong port.
func load(path string, single bool) (config, error) {
	found := config{
		address: firstAddress(), port: 6443, storage: "etcd", failCgroupV1: true,
		podCIDR: "10.244.0.0/16", serviceCIDR: "10.96.0.0/12", extra: map[string]map[string]string{},
	}
	if single {
		found.storage = "kine"
	}
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(path)
	}
	if os.IsNotExist(err) && path == configFile {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	found.text = string(text)
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return found, fmt.Errorf("failed to parse configuration: %w", err)
	}
	spec, _ := document["spec"].(map[string]any)
	for _, key := range sortedKeys(spec) {
		if !specKeys[key] {
			return found, fmt.Errorf("failed to parse configuration: unknown field %q", "spec."+key)
		}
	}
	api := section(spec, "api")
	found.address = str(api, "address", found.address)
	found.external = str(api, "externalAddress", "")
	for _, each := range list(api, "sans") {
		found.sans = append(found.sans, fmt.Sprint(each))
	}
	if port, ok := api["port"].(float64); ok {
		found.port = int(port)
	}
	if found.port < 1 || found.port > 65535 {
		return found, fmt.Errorf(
			"spec: api: port: Invalid value: %d: must be between 1 and 65535, inclusive", found.port)
	}
	found.storage = str(section(spec, "storage"), "type", found.storage)
	found.peer = str(section(section(spec, "storage"), "etcd"), "peerAddress", "")
	network := section(spec, "network")
	found.podCIDR = str(network, "podCIDR", found.podCIDR)
	found.serviceCIDR = str(network, "serviceCIDR", found.serviceCIDR)
	for _, each := range list(spec, "workerProfiles") {
		if profile, ok := each.(map[string]any); ok && profile["name"] == "default" {
			if fails, ok := section(profile, "values")["failCgroupV1"].(bool); ok {
				found.failCgroupV1 = fails
			}
		}
	}
	for key, where := range map[string]map[string]any{
		"api": api, "etcd": section(section(spec, "storage"), "etcd"),
		"controllerManager": section(spec, "controllerManager"), "scheduler": section(spec, "scheduler"),
	} {
		found.extra[key] = map[string]string{}
		for name, value := range section(where, "extraArgs") {
			found.extra[key][name] = fmt.Sprint(value)
		}
	}
	return found, nil
}

func (c config) public() string {
	host := c.address
	if c.external != "" {
		host = c.external
	}
	return fmt.Sprintf("https://%s", net.JoinHostPort(host, fmt.Sprint(c.port)))
}

func configVerb(f flags) error {
	switch f.arg(0) {
	case "create":
		fmt.Printf("apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\nmetadata:\n  name: k0s\nspec:\n  api:\n    address: %s\n", firstAddress())
		return nil
	case "validate":
		if f.values["config"] == "" {
			return fmt.Errorf("required flag(s) \"config\" not set")
		}
		_, err := load(f.values["config"], false)
		return err
	}
	return fmt.Errorf("unknown command %q for \"k0s config\"", f.arg(0))
}

func section(from map[string]any, key string) map[string]any {
	found, _ := from[key].(map[string]any)
	return found
}

func list(from map[string]any, key string) []any {
	found, _ := from[key].([]any)
	return found
}

func str(from map[string]any, key, fallback string) string {
	if found, ok := from[key].(string); ok && found != "" {
		return found
	}
	return fallback
}

func sortedKeys(from map[string]any) []string {
	keys := make([]string, 0, len(from))
	for key := range from {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func addresses() []string {
	found := []string{"127.0.0.1"}
	all, _ := net.InterfaceAddrs()
	for _, each := range all {
		if network, ok := each.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			found = append(found, network.IP.String())
		}
	}
	return found
}

func firstAddress() string {
	all := addresses()
	if len(all) > 1 {
		return all[1]
	}
	return all[0]
}

func hostname() string {
	name, _ := os.Hostname()
	return strings.ToLower(name)
}
