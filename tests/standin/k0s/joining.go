package main

import (
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What a controller hands to one that joins, over TLS and against a token of that role: as the
// genuine one does on the same port, though in words of its own.
const joinPort = "9443"

const etcdDoor = "http://127.0.0.1:2379/v3/cluster/member/"

var shared = []string{"ca.crt", "ca.key", "sa.key", "sa.pub"}

func (c config) peerURL() string { return "http://" + net.JoinHostPort(c.peer, "2380") }

func serveJoining(f flags, door *api) error {
	listener, err := net.Listen("tcp", ":"+joinPort)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/join", func(w http.ResponseWriter, r *http.Request) {
		if !mayJoin(door, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		var wish struct{ Name, Peer string }
		json.NewDecoder(r.Body).Decode(&wish)
		files := map[string][]byte{}
		for _, name := range shared {
			files[name], _ = os.ReadFile(f.pki(name))
		}
		members, err := addMember(wish.Name, wish.Peer)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"files": files, "cluster": members})
	})
	go http.ServeTLS(listener, mux, f.pki("server.crt"), f.pki("server.key"))
	return nil
}

func mayJoin(door *api, token string) bool {
	id, secret, _ := strings.Cut(token, ".")
	found, err := door.object("GET", secrets+"/bootstrap-token-"+id, nil)
	if err != nil {
		return false
	}
	data := section(found, "data")
	until, err := time.Parse(time.RFC3339, decoded(data, "expiration"))
	alive := err != nil || time.Now().Before(until)
	same := subtle.ConstantTimeCompare([]byte(decoded(data, "token-secret")), []byte(secret)) == 1
	return alive && same && decoded(data, "usage-role") == "controller"
}

func etcdAsk(verb string, body any) (map[string]any, error) {
	text, _ := json.Marshal(body)
	answer, err := (&http.Client{Timeout: 20 * time.Second}).Post(etcdDoor+verb, "application/json", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("etcd: %s", raw)
	}
	var found map[string]any
	json.Unmarshal(raw, &found)
	return found, err
}

func members() (map[string]string, map[string]string, error) {
	found, err := etcdAsk("list", map[string]any{})
	names, ids := map[string]string{}, map[string]string{}
	for _, each := range list(found, "members") {
		member := each.(map[string]any)
		url := fmt.Sprint(list(member, "peerURLs")[0])
		names[str(member, "name", url)], ids[url] = url, fmt.Sprint(member["ID"])
	}
	return names, ids, err
}

// addMember returns what etcd calls the initial cluster.
func addMember(name, peer string) (string, error) {
	if _, err := etcdAsk("add", map[string]any{"peerURLs": []string{peer}}); err != nil && !strings.Contains(err.Error(), "Peer URLs already exists") {
		return "", err
	}
	names, _, err := members()
	delete(names, peer) // one that has not started yet is listed without a name
	names[name] = peer
	words := []string{}
	for name, url := range names {
		words = append(words, name+"="+url)
	}
	return strings.Join(words, ","), err
}

// joinControllers fetches what the others share, unless that has been done.
func joinControllers(f flags, c config) error {
	file := f.values["token-file"]
	if file == "" || exists(f.pki("ca.key")) {
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("failed to read token file: %w", err)
	}
	text, err := unzipToken(strings.TrimSpace(string(raw)))
	if err != nil {
		return err
	}
	door, err := openAPI(text)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	ca, _ := base64.StdEncoding.DecodeString(authority(text))
	pool.AppendCertsFromPEM(ca)
	door.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	door.client.Timeout = 30 * time.Second
	answer, err := door.raw("POST", "/join", map[string]string{"Name": nodeName(), "Peer": c.peerURL()})
	if err != nil {
		return fmt.Errorf("failed to join controller: %w", err)
	}
	var got struct {
		Files   map[string][]byte `json:"files"`
		Cluster string            `json:"cluster"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return err
	}
	if err := os.MkdirAll(f.pki("etcd"), 0o751); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.dataDir(), "etcd-cluster"), []byte(got.Cluster), 0o600); err != nil {
		return err
	}
	for _, name := range shared {
		if err := os.WriteFile(f.pki(name), got.Files[name], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// etcdArguments are those of a lone etcd, or of a member among several.
func etcdArguments(f flags, c config, lone map[string]string) map[string]string {
	if c.peer == "" || c.storage != "etcd" {
		return lone
	}
	peer := c.peerURL()
	for key, value := range map[string]string{
		"name": nodeName(), "listen-peer-urls": peer, "initial-advertise-peer-urls": peer,
		"initial-cluster": nodeName() + "=" + peer,
	} {
		lone[key] = value
	}
	if restored := filepath.Join(f.dataDir(), "etcd-restored"); exists(restored) {
		os.Remove(restored)
		lone["force-new-cluster"] = "true"
	}
	if text, err := os.ReadFile(filepath.Join(f.dataDir(), "etcd-cluster")); err == nil {
		lone["initial-cluster"], lone["initial-cluster-state"] = string(text), "existing"
	}
	return lone
}

func etcdVerb(f flags) error {
	names, ids, err := members()
	if err != nil {
		return fmt.Errorf("can't list etcd cluster members: %w", err)
	}
	switch f.arg(0) {
	case "member-list":
		text, err := json.Marshal(map[string]any{"members": names})
		fmt.Println(string(text))
		return err
	case "leave":
		c, err := load(configFile, false)
		if err != nil {
			return err
		}
		c.peer = f.or("peer-address", c.peer)
		id := ids[c.peerURL()]
		if id == "" {
			return fmt.Errorf("peer not found: %s", c.peerURL())
		}
		_, err = etcdAsk("remove", map[string]any{"ID": id})
		return err
	}
	return fmt.Errorf("unknown command %q for \"k0s etcd\"", f.arg(0))
}
