package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"
)

// Images are kept as files under their names: there is no containerd.
func (f flags) store() string { return filepath.Join(f.dataDir(), "containerd", "standin") }

func ctr(f flags) error {
	if f.arg(0) != "images" && f.arg(0) != "image" && f.arg(0) != "i" {
		return plainError("ctr: the stand-in knows images only")
	}
	if !exists(socketPath) {
		return plainError("ctr: cannot access socket /run/k0s/containerd.sock: no such file or directory")
	}
	switch f.arg(1) {
	case "import":
		in := io.Reader(os.Stdin)
		if f.arg(2) != "-" {
			file, err := os.Open(f.arg(2))
			if err != nil {
				return plainError("ctr: " + err.Error())
			}
			defer file.Close()
			in = file
		}
		names, err := importImages(f, in)
		if err != nil {
			return plainError("ctr: " + err.Error())
		}
		for _, name := range names {
			fmt.Printf("unpacking %s...done\n", name)
		}
		return nil
	case "list", "ls":
		names := imageNames(f)
		if !f.on("quiet") {
			fmt.Println("REF TYPE DIGEST SIZE PLATFORMS LABELS")
		}
		fmt.Print(strings.Join(append(names, ""), "\n"))
		return nil
	case "export":
		file, err := os.Create(f.arg(2))
		if err != nil {
			return plainError("ctr: " + err.Error())
		}
		defer file.Close()
		for _, name := range f.args[3:] {
			content, err := os.Open(filepath.Join(f.store(), fileName(name)))
			if err != nil {
				return plainError(fmt.Sprintf("ctr: image %q: not found", name))
			}
			_, err = io.Copy(file, content)
			content.Close()
			if err != nil {
				return plainError("ctr: " + err.Error())
			}
		}
		return nil
	}
	return plainError("ctr: the stand-in knows import, export and list only")
}

func fileName(image string) string { return strings.NewReplacer("/", "%2F", ":", "%3A").Replace(image) }

func imageNames(f flags) []string {
	entries, _ := os.ReadDir(f.store())
	names := []string{}
	for _, each := range entries {
		if !strings.HasPrefix(each.Name(), ".") {
			names = append(names, strings.NewReplacer("%2F", "/", "%3A", ":").Replace(each.Name()))
		}
	}
	sort.Strings(names)
	return names
}

// importImages keeps the whole archive under each name that it gives.
func importImages(f flags, in io.Reader) ([]string, error) {
	if err := os.MkdirAll(f.store(), 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(f.store(), ".import")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	names, wrong, err := readArchive(io.TeeReader(in, file))
	if err == nil {
		_, err = io.Copy(file, in)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to ingest: %w", err)
	}
	if wrong != "" {
		return nil, fmt.Errorf("image might be filtered out: no match for platform in manifest: %s: not found", wrong)
	}
	for _, name := range names {
		target := filepath.Join(f.store(), fileName(name))
		os.Remove(target)
		if err := os.Link(file.Name(), target); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func readArchive(in io.Reader) (names []string, wrong string, err error) {
	reader := tar.NewReader(in)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			if len(names) == 0 {
				return nil, "", fmt.Errorf("unrecognized image format")
			}
			return names, wrong, nil
		}
		if err != nil {
			return nil, "", err
		}
		if header.Size > 1<<20 {
			if _, err := io.Copy(io.Discard, reader); err != nil {
				return nil, "", err
			}
			continue
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			return nil, "", err
		}
		var about struct{ Architecture, OS string }
		if json.Unmarshal(text, &about) == nil && about.OS != "" && about.Architecture != "" && about.Architecture != runtime.GOARCH {
			wrong = about.OS + "/" + about.Architecture
		}
		switch header.Name {
		case "manifest.json":
			var manifests []struct{ RepoTags []string }
			if err := json.Unmarshal(text, &manifests); err != nil {
				return nil, "", err
			}
			for _, each := range manifests {
				for _, tag := range each.RepoTags {
					names = append(names, normalised(tag))
				}
			}
		case "index.json":
			var index struct {
				Manifests []struct{ Annotations map[string]string }
			}
			if err := json.Unmarshal(text, &index); err != nil {
				return nil, "", err
			}
			for _, each := range index.Manifests {
				if name := each.Annotations["io.containerd.image.name"]; name != "" {
					names = append(names, name)
				}
			}
		}
	}
}

func normalised(name string) string {
	first, _, more := strings.Cut(name, "/")
	if !more {
		return "docker.io/library/" + name
	}
	if !strings.ContainsAny(first, ".:") && first != "localhost" {
		return "docker.io/" + name
	}
	return name
}

// watchImages imports what is put into the images folder, at once and later.
func watchImages(f flags) {
	done := map[string]time.Time{}
	for ; ; time.Sleep(time.Second) {
		found, _ := filepath.Glob(filepath.Join(f.dataDir(), "images", "*.tar"))
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil || done[path].Equal(info.ModTime()) {
				continue
			}
			file, err := os.Open(path)
			if err != nil {
				continue
			}
			if _, err := importImages(f, file); err == nil {
				done[path] = info.ModTime()
			}
			file.Close()
		}
	}
}
