package main

import (
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// Where the few kinds live that cluster makers apply: enough for a storage class and its provisioner.
var collections = map[string]string{
	"v1/ConfigMap":                   "/api/v1/namespaces/%s/configmaps",
	"v1/Namespace":                   "/api/v1/namespaces",
	"apps/v1/Deployment":             "/apis/apps/v1/namespaces/%s/deployments",
	"storage.k8s.io/v1/StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
}

// apply creates what is not there yet; it changes nothing that is.
func apply(door *api, in io.Reader) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return err
		}
		if object == nil {
			continue
		}
		path, ok := collections[fmt.Sprintf("%s/%s", object["apiVersion"], object["kind"])]
		if !ok {
			return fmt.Errorf("the stand-in applies no %s", object["kind"])
		}
		if strings.Contains(path, "%s") {
			path = fmt.Sprintf(path, str(section(object, "metadata"), "namespace", "default"))
		}
		if err := door.create(path, object); err != nil {
			return err
		}
		fmt.Printf("%s/%s created\n", strings.ToLower(fmt.Sprint(object["kind"])), str(section(object, "metadata"), "name", ""))
	}
	return nil
}
