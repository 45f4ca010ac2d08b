package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// api is a client of the API server, made of a kubeconfig.
type api struct {
	server string
	token  string
	client *http.Client
}

type apiError struct {
	status int
	body   string
}

func (e apiError) Error() string { return e.body }

func openAPI(text []byte) (*api, error) {
	var document struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     string `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate string `json:"client-certificate-data"`
				Key         string `json:"client-key-data"`
				Token       string `json:"token"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Clusters) == 0 || len(document.Users) == 0 {
		return nil, fmt.Errorf("kubeconfig names no cluster or no user")
	}
	cluster, user := document.Clusters[0].Cluster, document.Users[0].User
	pool := x509.NewCertPool()
	ca, _ := base64.StdEncoding.DecodeString(cluster.CA)
	pool.AppendCertsFromPEM(ca)
	settings := &tls.Config{RootCAs: pool}
	if user.Certificate != "" {
		certificate, _ := base64.StdEncoding.DecodeString(user.Certificate)
		key, _ := base64.StdEncoding.DecodeString(user.Key)
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return &api{
		server: cluster.Server, token: user.Token,
		client: &http.Client{
			Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true},
			Timeout:   10 * time.Second,
		},
	}, nil
}

func adminAPI(f flags) (*api, error) {
	text, err := os.ReadFile(f.pki("admin.conf"))
	if err != nil {
		return nil, err
	}
	return openAPI(text)
}

func (a *api) raw(method, path string, body any) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, a.server+path, reader)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == "PATCH" {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = apiError{answer.StatusCode, string(text)}
	}
	return text, err
}

func (a *api) object(method, path string, body any) (map[string]any, error) {
	text, err := a.raw(method, path, body)
	if err != nil {
		return nil, err
	}
	var found map[string]any
	return found, json.Unmarshal(text, &found)
}

// create tolerates what is there already.
func (a *api) create(path string, body any) error {
	_, err := a.raw("POST", path, body)
	if problem, ok := err.(apiError); ok && problem.status == http.StatusConflict {
		return nil
	}
	return err
}

func kubectl(f flags) error {
	path := os.Getenv("KUBECONFIG") // honoured first, as by the genuine one
	if path == "" {
		path = f.pki("admin.conf")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot stat k0s kubeconfig, is the server running?: %w", err)
	}
	door, err := openAPI(text)
	if err != nil {
		return err
	}
	verb, what, name := f.arg(0), f.arg(1), f.arg(2)
	switch {
	case verb == "get" && f.values["raw"] != "":
		text, err = door.raw("GET", f.values["raw"], nil)
		if err == nil {
			os.Stdout.Write(text)
		}
	case verb == "get" && strings.HasPrefix(what, "node"):
		target := "/api/v1/nodes"
		if name != "" {
			target += "/" + name
		}
		text, err = door.raw("GET", target, nil)
		if err == nil {
			fmt.Println(string(text))
		}
	case verb == "delete" && strings.HasPrefix(what, "node"):
		_, err = door.raw("DELETE", "/api/v1/nodes/"+name, nil)
		if problem, ok := err.(apiError); ok && problem.status == http.StatusNotFound && f.on("ignore-not-found") {
			err = nil
		}
	case verb == "patch" && strings.HasPrefix(what, "node") && f.values["type"] == "merge":
		_, err = door.raw("PATCH", "/api/v1/nodes/"+name, json.RawMessage(f.or("patch", f.values["p"])))
	case verb == "cordon" || verb == "uncordon":
		body := map[string]any{"spec": map[string]any{"unschedulable": verb == "cordon"}}
		_, err = door.raw("PATCH", "/api/v1/nodes/"+what, body)
	case verb == "drain":
		body := map[string]any{"spec": map[string]any{"unschedulable": true}}
		if _, err = door.raw("PATCH", "/api/v1/nodes/"+what, body); err == nil {
			err = evict(door, what)
		}
	case verb == "apply" && f.values["filename"] == "-":
		err = apply(door, os.Stdin)
	default:
		err = fmt.Errorf("unknown command %q for \"kubectl\" of the stand-in", verb)
	}
	if problem, ok := err.(apiError); ok {
		return plainError("Error from server: " + problem.body)
	}
	if err != nil {
		host := strings.TrimPrefix(door.server, "https://")
		return plainError(fmt.Sprintf("The connection to the server %s was refused - did you specify the right host or port?", host))
	}
	return nil
}

func evict(door *api, node string) error {
	pods, err := door.object("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3D"+node, nil)
	if err != nil {
		return err
	}
	for _, each := range list(pods, "items") {
		about := section(each.(map[string]any), "metadata")
		path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", about["namespace"], about["name"])
		if _, err := door.raw("DELETE", path, nil); err != nil {
			return err
		}
	}
	return nil
}

// dialSocket talks HTTP to the status socket.
func dialSocket(timeout time.Duration) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", runDir+"/status.sock")
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: timeout}
}
