package main

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func nodeName() string { return hostname() }

// nodeCredentials are what the controller gives its own node.
func nodeCredentials(f flags, c config) (string, error) {
	subject := pkix.Name{CommonName: "system:node:" + nodeName(), Organization: []string{"system:nodes"}}
	if err := issue(f, "node", subject, nil); err != nil {
		return "", err
	}
	return clientConfig(f, "node", fmt.Sprintf("https://localhost:%d", c.port), "k0s", "node", "k0s")
}

func worker(f flags) error {
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
	if err := os.MkdirAll(f.dataDir(), 0o755); err != nil {
		return err
	}
	path := filepath.Join(f.dataDir(), "kubelet.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		// the token is read only where there are no credentials yet
		joined, err := join(f, stop)
		if err != nil {
			return fmt.Errorf("failed to bootstrap kubelet client configuration: %w", err)
		}
		if err := os.WriteFile(path, []byte(joined), 0o600); err != nil {
			return err
		}
		text = []byte(joined)
	}
	all := &children{f: f}
	defer all.stop()
	defer os.Remove(socketPath)
	nodeReady := make(chan struct{})
	if err := serveStatus(f, config{}, "worker", nodeReady); err != nil {
		return err
	}
	c, err := load(filepath.Join(f.dataDir(), "nothing"), false)
	if err != nil {
		c = config{podCIDR: "10.244.0.0/16"}
	}
	return runNode(f, c, string(text), all, false, nodeReady, stop)
}

// join trades a token for a certificate, as a kubelet does.
func join(f flags, stop <-chan os.Signal) (string, error) {
	raw := f.arg(0)
	if file := f.values["token-file"]; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		raw = strings.TrimSpace(string(text))
	}
	if raw == "" {
		raw = os.Getenv("K0S_TOKEN")
	}
	if raw == "" {
		return "", fmt.Errorf("no bootstrap kubeconfig: normal kubeconfig nonexistent and no join token given")
	}
	text, err := unzipToken(raw)
	if err != nil {
		return "", err
	}
	door, err := openAPI(text)
	if err != nil {
		return "", err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	subject := pkix.Name{CommonName: "system:node:" + nodeName(), Organization: []string{"system:nodes"}}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		return "", err
	}
	body := map[string]any{
		"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
		"metadata": map[string]any{"generateName": "node-csr-"},
		"spec": map[string]any{
			"request":    base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
			"signerName": "kubernetes.io/kube-apiserver-client-kubelet",
			"usages":     []string{"digital signature", "client auth"},
		},
	}
	var made map[string]any
	var last error
	err = await(stop, "kubelet", func() bool {
		made, last = door.object("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", body)
		problem, refused := last.(apiError)
		return last == nil || refused && problem.status == 401
	})
	if last != nil || err != nil {
		return "", fmt.Errorf("joining: %v", last)
	}
	name := section(made, "metadata")["name"]
	var certificate string
	if err := await(stop, "certificate", func() bool {
		found, err := door.object("GET", fmt.Sprintf("/apis/certificates.k8s.io/v1/certificatesigningrequests/%s", name), nil)
		certificate, _ = section(found, "status")["certificate"].(string)
		return err == nil && certificate != ""
	}); err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	keyText := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	credentials := fmt.Sprintf("    client-certificate-data: %s\n    client-key-data: %s\n", certificate, keyText)
	return kubeconfigText(door.server, "k0s", "node", "k0s", authority(text), credentials), nil
}

func unzipToken(raw string) ([]byte, error) {
	zipped, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		return nil, fmt.Errorf("failed to decode join token: %w", err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, fmt.Errorf("failed to decode join token: %w", err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("failed to decode join token: %w", err)
	}
	return text, nil
}

func authority(kubeconfig []byte) string {
	for _, line := range strings.Split(string(kubeconfig), "\n") {
		if name, value, _ := strings.Cut(strings.TrimLeft(line, " -"), ": "); name == "certificate-authority-data" {
			return value
		}
	}
	return ""
}

// runNode registers the node and has KWOK stand for its kubelet, until told to stop.
func runNode(f flags, c config, kubeconfig string, all *children, taint bool, ready chan struct{}, stop <-chan os.Signal) error {
	path := filepath.Join(f.dataDir(), "kubelet.conf")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		return err
	}
	door, err := openAPI([]byte(kubeconfig))
	if err != nil {
		return err
	}
	labels := map[string]any{"kubernetes.io/hostname": nodeName(), "kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH}
	for _, each := range strings.Split(f.values["labels"], ",") {
		if key, value, ok := strings.Cut(each, "="); ok {
			labels[key] = value
		}
	}
	kubernetes, _, _ := strings.Cut(version, "+")
	sizes := map[string]any{"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
	info := map[string]any{
		"architecture": runtime.GOARCH, "operatingSystem": "linux", "kubeletVersion": kubernetes + "+k0s", "kubeProxyVersion": "",
		"containerRuntimeVersion": "containerd://2.3.4", "kernelVersion": "standin", "osImage": "standin",
		"machineID": "", "systemUUID": "", "bootID": "",
	}
	var taints []any
	if taint {
		taints = append(taints, map[string]any{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
	}
	for _, each := range strings.Split(f.values["taints"], ",") {
		if key, effect, ok := strings.Cut(each, ":"); ok {
			key, value, _ := strings.Cut(key, "=")
			taints = append(taints, map[string]any{"key": key, "value": value, "effect": effect})
		}
	}
	body := map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{"name": nodeName(), "labels": labels, "annotations": map[string]any{"kwok.x-k8s.io/node": "fake"}},
		"spec":     map[string]any{"taints": taints},
		"status":   map[string]any{"capacity": sizes, "allocatable": sizes, "nodeInfo": info},
	}
	var last error
	if err := await(stop, "kubelet", func() bool {
		last = door.create("/api/v1/nodes", body)
		return last == nil
	}); err != nil {
		return fmt.Errorf("%w: %v", err, last)
	}
	// what an upgrade changed
	_, _ = door.raw("PATCH", "/api/v1/nodes/"+nodeName()+"/status", map[string]any{"status": map[string]any{"nodeInfo": info}})
	if os.Getenv("K0S_STANDIN_UNFIXED") != "" {
		<-stop // see the entry point of the image: without its fix-ups the node never gets ready
		return nil
	}
	// KWOK would wait until the lease of its last life runs out; a kubelet does not
	_, _ = door.raw("DELETE", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"+nodeName(), nil)
	if err := all.start("kwok", "--config="+stages, "--kubeconfig="+path, "--manage-all-nodes=false",
		"--manage-single-node="+nodeName(), "--node-lease-duration-seconds=40", "--cidr="+c.podCIDR, "--node-ip="+firstAddress()); err != nil {
		return err
	}
	go watchImages(f)
	go func() {
		for !nodeIsReady(door) {
			time.Sleep(200 * time.Millisecond)
		}
		// kubelet credentials come seconds after the API answers; until then `k0s status` hangs
		time.Sleep(3 * time.Second)
		close(ready)
	}()
	<-stop
	return nil
}

func nodeIsReady(door *api) bool {
	found, err := door.object("GET", "/api/v1/nodes/"+nodeName(), nil)
	if err != nil {
		return false
	}
	for _, each := range list(section(found, "status"), "conditions") {
		if condition := each.(map[string]any); condition["type"] == "Ready" {
			return condition["status"] == "True"
		}
	}
	return false
}
