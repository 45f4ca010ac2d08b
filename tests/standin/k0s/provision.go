package main

import (
	"fmt"
	"time"
)

// provision does what a pod of local-path-provisioner would, once the API says that it runs:
// simulated pods do nothing.
func provision(door *api) {
	for ; ; time.Sleep(500 * time.Millisecond) {
		deployments, err := door.object("GET", "/apis/apps/v1/deployments", nil)
		if err != nil || !available(deployments) {
			continue
		}
		ours := map[string]bool{}
		fallback := ""
		classes, err := door.object("GET", "/apis/storage.k8s.io/v1/storageclasses", nil)
		if err != nil {
			continue
		}
		for _, each := range list(classes, "items") {
			class := each.(map[string]any)
			name := str(section(class, "metadata"), "name", "")
			if class["provisioner"] == "rancher.io/local-path" {
				ours[name] = true
			}
			if str(section(section(class, "metadata"), "annotations"), "storageclass.kubernetes.io/is-default-class", "") == "true" {
				fallback = name
			}
		}
		claims, err := door.object("GET", "/api/v1/persistentvolumeclaims", nil)
		if err != nil {
			continue
		}
		for _, each := range list(claims, "items") {
			claim := each.(map[string]any)
			about, spec := section(claim, "metadata"), section(claim, "spec")
			class := str(spec, "storageClassName", fallback)
			node := str(section(about, "annotations"), "volume.kubernetes.io/selected-node", "")
			if section(claim, "status")["phase"] != "Pending" || !ours[class] || node == "" {
				continue
			}
			name := fmt.Sprintf("pvc-%s", about["uid"])
			door.create("/api/v1/persistentvolumes", map[string]any{
				"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": name},
				"spec": map[string]any{
					"capacity":    section(section(spec, "resources"), "requests"),
					"accessModes": spec["accessModes"], "storageClassName": class, "persistentVolumeReclaimPolicy": "Delete",
					"hostPath": map[string]any{"path": "/var/lib/k0s/volumes/" + name, "type": "DirectoryOrCreate"},
					"claimRef": map[string]any{
						"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": about["name"],
						"namespace": about["namespace"], "uid": about["uid"],
					},
				},
			})
		}
	}
}

func available(deployments map[string]any) bool {
	for _, each := range list(deployments, "items") {
		deployment := each.(map[string]any)
		if section(deployment, "metadata")["name"] == "local-path-provisioner" {
			count, _ := section(deployment, "status")["availableReplicas"].(float64)
			return count > 0
		}
	}
	return false
}
