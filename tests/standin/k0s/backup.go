package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The snapshot is a crash-consistent copy of etcd's directory, taken while etcd is held still.
var snapshots = map[string][2]string{"etcd": {"etcd", "etcd-snapshot.db"}, "kine": {"db", "kine-state-backup.db"}}

func backup(f flags) error {
	now, err := whatRuns()
	if err != nil {
		return fmt.Errorf("backup command failed: failed to get k0s status: %w", err)
	}
	target := f.values["save-path"]
	out := io.Writer(os.Stdout)
	if target != "-" {
		if info, err := os.Stat(target); err != nil || !info.IsDir() {
			return fmt.Errorf("the save-path directory (%s) does not exist", target)
		}
		stamp := time.Now().UTC().Format("2006-01-02T15_04_05_000Z")
		file, err := os.OpenFile(filepath.Join(target, "k0s_backup_"+stamp+".tar.gz"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		out = file
	}
	snapshot, err := os.CreateTemp("", "k0s-backup")
	if err != nil {
		return err
	}
	defer os.Remove(snapshot.Name())
	defer snapshot.Close()
	names := snapshots[now.Storage]
	if err := holdStill(func() error { return tarTree(snapshot, filepath.Join(f.dataDir(), names[0])) }); err != nil {
		return err
	}
	zipped := gzip.NewWriter(out)
	writer := tar.NewWriter(zipped)
	snapshot.Seek(0, io.SeekStart)
	info, _ := snapshot.Stat()
	writer.WriteHeader(&tar.Header{Name: names[1], Size: info.Size(), Mode: 0o600})
	if _, err := io.Copy(writer, snapshot); err != nil {
		return err
	}
	writer.WriteHeader(&tar.Header{Name: "k0s.yaml", Size: int64(len(now.Config)), Mode: 0o600})
	writer.Write([]byte(now.Config))
	for _, folder := range []string{"pki", "manifests", "images"} {
		if err := addTree(writer, f.dataDir(), folder); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

func holdStill(work func() error) error {
	text, err := os.ReadFile(filepath.Join(runDir, "etcd.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	syscall.Kill(pid, syscall.SIGSTOP)
	defer syscall.Kill(pid, syscall.SIGCONT)
	return work()
}

func tarTree(out io.Writer, folder string) error {
	writer := tar.NewWriter(out)
	if err := addTree(writer, folder, "."); err != nil {
		return err
	}
	return writer.Close()
}

func addTree(writer *tar.Writer, base, folder string) error {
	root := filepath.Join(base, folder)
	if !exists(root) {
		return nil
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || !(info.Mode().IsRegular() || info.IsDir()) {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		header.Name, _ = filepath.Rel(base, path)
		if err := writer.WriteHeader(header); err != nil || info.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.CopyN(writer, file, header.Size)
		return err
	})
}

func restore(f flags) error {
	if alone() != nil {
		return fatalError("k0s seems to be running! k0s must be down during the restore operation.")
	}
	var in io.Reader = os.Stdin
	if name := f.arg(0); name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("given file %s does not exist", name)
		}
		defer file.Close()
		in = file
	}
	zipped, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("failed to unpack backup archive `%s`: %w", f.arg(0), err)
	}
	reader := tar.NewReader(zipped)
	seen := false
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("failed to unpack backup archive `%s`: %w", f.arg(0), err)
		}
		switch {
		case header.Name == "k0s.yaml":
			seen = true
			if err := restoreConfig(f, reader); err != nil {
				return err
			}
		case header.Name == snapshots["etcd"][1] || header.Name == snapshots["kine"][1]:
			folder := filepath.Join(f.dataDir(), snapshots["etcd"][0])
			if header.Name == snapshots["kine"][1] {
				folder = filepath.Join(f.dataDir(), snapshots["kine"][0])
			}
			if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 {
				return fmt.Errorf("failed to restore on step `etcd`: data-dir %q not empty or could not be read", folder)
			}
			if err := untar(tar.NewReader(reader), folder); err != nil {
				return err
			}
			// a restored etcd is a cluster of one, whoever its members were
			if err := os.WriteFile(filepath.Join(f.dataDir(), "etcd-restored"), nil, 0o600); err != nil {
				return err
			}
		default:
			if err := untarOne(reader, header, f.dataDir()); err != nil {
				return err
			}
		}
	}
	if !seen {
		return fmt.Errorf("failed to parse backed-up configuration file, check the backup archive: open k0s.yaml: no such file or directory")
	}
	return nil
}

func restoreConfig(f flags, in io.Reader) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	out := f.values["config-out"]
	if out == "-" || f.arg(0) == "-" && out == "" {
		os.Stdout.Write(text)
		return nil
	}
	if out == "" {
		out = "k0s_" + time.Now().UTC().Format("2006-01-02T15_04_05_000Z") + ".yaml"
	}
	return os.WriteFile(out, text, 0o600)
}

func untar(reader *tar.Reader, folder string) error {
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untarOne(reader, header, folder); err != nil {
			return err
		}
	}
}

func untarOne(reader io.Reader, header *tar.Header, folder string) error {
	path := filepath.Join(folder, filepath.Clean("/"+header.Name))
	if header.Typeflag == tar.TypeDir {
		return os.MkdirAll(path, header.FileInfo().Mode()|0o700)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, header.FileInfo().Mode())
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, reader)
	return err
}

// reset leaves what the genuine one leaves: /etc/k0s, and orphans of a kill -9.
func reset(f flags) error {
	if alone() != nil {
		return fmt.Errorf("another k0s process is still running, please stop k0s before reset")
	}
	for _, folder := range []string{f.dataDir(), runDir} {
		if strings.Count(folder, "/") < 2 && !strings.HasPrefix(folder, "/run/") {
			return fmt.Errorf("won't remove %s", folder)
		}
		if err := os.RemoveAll(folder); err != nil {
			// a mount point stays, its content goes
			entries, _ := os.ReadDir(folder)
			for _, each := range entries {
				os.RemoveAll(filepath.Join(folder, each.Name()))
			}
		}
	}
	return nil
}
