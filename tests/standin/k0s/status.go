package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const socketPath = runDir + "/status.sock"

// serveStatus answers on the socket; /status blocks until the node has its credentials, which is
// seconds after the API answers, as with the genuine one.
func serveStatus(f flags, c config, role string, nodeReady <-chan struct{}) error {
	os.Remove(socketPath)
	listener, err := net.Listen("unix", socketPath)
	if err != nil {
		return err
	}
	workloads := role == "worker" || f.on("single") || f.on("enable-worker")
	mux := http.NewServeMux()
	mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		if workloads {
			select {
			case <-nodeReady:
			case <-r.Context().Done():
				return
			}
		}
		success, message := apiAnswers(f, role)
		body := map[string]any{
			"Version": version, "Pid": os.Getpid(), "PPid": 0, "Role": role, "SysInit": "", "StubFile": "",
			"Output": "", "Workloads": workloads, "SingleNode": f.on("single"), "Args": os.Args,
			"WorkerToAPIConnectionStatus": map[string]any{"Message": message, "Success": success},
			"ClusterConfig":               nil,
			"K0sVars": map[string]any{
				"DataDir": f.dataDir(), "RunDir": runDir, "CertRootDir": f.pki(""),
				"AdminKubeConfigPath": f.pki("admin.conf"), "StartupConfigPath": f.or("config", configFile),
				"StatusSocketPath": socketPath,
			},
		}
		if role == "controller" {
			body["ClusterConfig"] = map[string]any{"spec": map[string]any{
				"api":     map[string]any{"address": c.address, "externalAddress": c.external, "port": c.port},
				"storage": map[string]any{"type": c.storage},
			}}
		}
		json.NewEncoder(w).Encode(body)
	})
	// for the verbs of this stand-in, which may not block
	mux.HandleFunc("/standin", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"single": f.on("single"), "role": role, "address": c.address, "external": c.external, "port": c.port,
			"storage": c.storage, "config": c.text, "dataDir": f.dataDir(),
		})
	})
	go http.Serve(listener, mux)
	return nil
}

func apiAnswers(f flags, role string) (bool, string) {
	path := f.pki("admin.conf")
	if role == "worker" {
		path = f.dataDir() + "/kubelet.conf"
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err.Error()
	}
	door, err := openAPI(text)
	if err != nil {
		return false, err.Error()
	}
	if _, err := door.raw("GET", "/version", nil); err != nil {
		return false, err.Error()
	}
	return true, ""
}

type running struct {
	Single, _                                bool
	Role, Address, External, Storage, Config string
	DataDir                                  string
	Port                                     int
}

func whatRuns() (running, error) {
	var found running
	answer, err := dialSocket(3 * time.Second).Get("http://localhost/standin")
	if err != nil {
		return found, err
	}
	defer answer.Body.Close()
	return found, json.NewDecoder(answer.Body).Decode(&found)
}

func runningConfig() (config, error) {
	found, err := whatRuns()
	return config{
		address: found.Address, external: found.External, port: found.Port, storage: found.Storage, text: found.Config,
	}, err
}

func status(f flags) error {
	answer, err := dialSocket(5 * time.Minute).Get("http://localhost/status")
	if err != nil {
		// dial unix …: connect: no such file or directory | connection refused
		if problem, ok := err.(interface{ Unwrap() error }); ok {
			err = problem.Unwrap()
		}
		return fmt.Errorf("status: can't get \"status\" via %q: %w", socketPath, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if f.values["out"] == "json" {
		fmt.Print(string(text))
		return nil
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return err
	}
	fmt.Printf("Version: %v\nProcess ID: %v\nRole: %v\nWorkloads: %v\nSingleNode: %v\n",
		body["Version"], body["Pid"], body["Role"], body["Workloads"], body["SingleNode"])
	return nil
}
