package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const bootTimeout = 150 * time.Second // as with the genuine one

func preflight(f flags) error {
	if f.on("ignore-pre-flight-checks") || exists("/sys/fs/cgroup/cgroup.controllers") {
		return nil
	}
	return fmt.Errorf("pre-flight checks failed, check out `k0s sysinfo`")
}

func alone() error {
	if _, err := whatRuns(); err == nil {
		return fmt.Errorf("failed to initialize runtime config: another k0s process is still running")
	}
	return nil
}

func endOnSignal() <-chan os.Signal {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	return stop
}

func controller(f flags) error {
	c, err := load(f.or("config", configFile), f.on("single"))
	if err != nil {
		return err
	}
	if err := preflight(f); err != nil {
		return err
	}
	if err := alone(); err != nil {
		return err
	}
	stop := endOnSignal()
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	if err := joinControllers(f, c); err != nil {
		return err
	}
	if err := ensurePKI(f, c); err != nil {
		return err
	}
	all := &children{f: f}
	defer all.stop()
	defer os.Remove(socketPath)
	if err := startParts(f, c, all); err != nil {
		return err
	}
	door, err := adminAPI(f)
	if err != nil {
		return err
	}
	if err := await(stop, "kube-apiserver", func() bool { _, err := door.raw("GET", "/readyz", nil); return err == nil }); err != nil {
		return err
	}
	if err := startControllers(f, c, all); err != nil {
		return err
	}
	nodeReady := make(chan struct{})
	if err := serveStatus(f, c, "controller", nodeReady); err != nil {
		return err
	}
	if err := allowJoining(door); err != nil {
		return err
	}
	if !f.on("single") {
		if err := serveJoining(f, door); err != nil {
			return err
		}
	}
	logf("the control plane is up")
	if f.on("single") || f.on("enable-worker") {
		text, err := nodeCredentials(f, c)
		if err != nil {
			return err
		}
		go provision(door)
		if err := runNode(f, c, text, all, !f.on("single") && !f.on("no-taints"), nodeReady, stop); err != nil {
			return err
		}
		return nil
	}
	<-stop
	return nil
}

func startParts(f flags, c config, all *children) error {
	data := "etcd"
	if c.storage == "kine" {
		data = "db"
	}
	etcd := map[string]string{
		"name": "standin", "data-dir": filepath.Join(f.dataDir(), data), "log-level": "warn",
		"listen-client-urls": "http://127.0.0.1:2379", "advertise-client-urls": "http://127.0.0.1:2379",
		"listen-peer-urls": "http://127.0.0.1:2380", "initial-advertise-peer-urls": "http://127.0.0.1:2380",
		"initial-cluster": "standin=http://127.0.0.1:2380", "unsafe-no-fsync": "true",
	}
	if err := all.start("etcd", arguments(etcdArguments(f, c, etcd), c.extra["etcd"])...); err != nil {
		return err
	}
	clients := etcd["listen-client-urls"]
	if other := c.extra["etcd"]["listen-client-urls"]; other != "" {
		clients = other
	}
	server := map[string]string{
		"etcd-servers": clients, "secure-port": strconv.Itoa(c.port), "bind-address": "0.0.0.0",
		"advertise-address": c.address, "cert-dir": f.pki(""), "client-ca-file": f.pki("ca.crt"),
		"tls-cert-file": f.pki("server.crt"), "tls-private-key-file": f.pki("server.key"),
		"kubelet-client-certificate": f.pki("apiserver-kubelet-client.crt"), "kubelet-client-key": f.pki("apiserver-kubelet-client.key"),
		"service-account-key-file": f.pki("sa.pub"), "service-account-signing-key-file": f.pki("sa.key"),
		"service-account-issuer":   "https://kubernetes.default.svc",
		"service-cluster-ip-range": c.serviceCIDR, "authorization-mode": "Node,RBAC",
		"enable-admission-plugins": "NodeRestriction", "enable-bootstrap-token-auth": "true",
		"allow-privileged": "true", "profiling": "false", "endpoint-reconciler-type": "none",
	}
	return all.start("kube-apiserver", arguments(server, c.extra["api"])...)
}

func startControllers(f flags, c config, all *children) error {
	manager := map[string]string{
		"kubeconfig": f.pki("ccm.conf"), "leader-elect": strconv.FormatBool(c.peer != ""), "use-service-account-credentials": "true",
		"service-account-private-key-file": f.pki("sa.key"), "root-ca-file": f.pki("ca.crt"),
		"cluster-signing-cert-file": f.pki("ca.crt"), "cluster-signing-key-file": f.pki("ca.key"),
		"bind-address": "127.0.0.1", "controllers": "*,bootstrapsigner,tokencleaner",
		"kube-api-qps": "200", "kube-api-burst": "400",
	}
	if err := all.start("kube-controller-manager", arguments(manager, c.extra["controllerManager"])...); err != nil {
		return err
	}
	scheduler := map[string]string{
		"kubeconfig": f.pki("scheduler.conf"), "leader-elect": strconv.FormatBool(c.peer != ""), "bind-address": "127.0.0.1",
		"kube-api-qps": "200", "kube-api-burst": "400",
	}
	return all.start("kube-scheduler", arguments(scheduler, c.extra["scheduler"])...)
}

func arguments(all, extra map[string]string) []string {
	merged := map[string]any{}
	for key, value := range all {
		merged[key] = value
	}
	for key, value := range extra {
		merged[key] = value
	}
	words := []string{}
	for _, key := range sortedKeys(merged) {
		words = append(words, fmt.Sprintf("--%s=%v", key, merged[key]))
	}
	return words
}

func await(stop <-chan os.Signal, what string, done func() bool) error {
	end := time.Now().Add(bootTimeout)
	for !done() {
		select {
		case <-stop:
			return fmt.Errorf("%s: stopped while starting", what)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("failed to start controller node components: %s health-check timed out", what)
		}
	}
	return nil
}

// allowJoining lets holders of a token ask for a node's certificate, and has it granted.
func allowJoining(door *api) error {
	for name, role := range map[string]string{
		"kubelet-bootstrap":          "system:node-bootstrapper",
		"node-autoapprove-bootstrap": "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
		// KWOK, which stands for the kubelet, looks at more than a kubelet may
		"kwok": "cluster-admin",
	} {
		group := "system:bootstrappers"
		if name == "kwok" {
			group = "system:nodes"
		}
		var body map[string]any
		json.Unmarshal([]byte(fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding",
			"metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},
			"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":%q}]}`, "standin:"+name, role, group)), &body)
		if err := door.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body); err != nil {
			return err
		}
	}
	return nil
}
