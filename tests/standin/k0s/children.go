package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// children are the genuine parts. They are respawned when they die, outlive a kill -9 of their
// parent, and are taken over (ended and started again) by the next one.
type children struct {
	f        flags
	mu       sync.Mutex
	commands []*exec.Cmd
	ending   bool
}

// find looks as k0s does: its data directory, then PATH; last, where this stand-in was told to.
func (f flags) find(name string) (string, error) {
	path := filepath.Join(f.dataDir(), "bin", name)
	if exists(path) {
		return path, nil
	}
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	if found := filepath.Join(parts, name); exists(found) {
		return found, nil
	}
	return "", fmt.Errorf("no payload attached, stat %s: no such file or directory, exec: %q: executable file not found in $PATH", path, name)
}

func (c *children) start(name string, arguments ...string) error {
	program, err := c.f.find(name)
	if err != nil {
		return err
	}
	pidFile := filepath.Join(runDir, name+".pid")
	takeOver(pidFile, name)
	logFile, err := os.OpenFile(filepath.Join(runDir, name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	go func() {
		for {
			command := exec.Command(program, arguments...)
			// one program acts as every part, by its name; the path is where k0s would unpack it
			command.Args[0] = filepath.Join(c.f.dataDir(), "bin", name)
			command.Stdout, command.Stderr = logFile, logFile
			command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			c.mu.Lock()
			if c.ending {
				c.mu.Unlock()
				return
			}
			if err := command.Start(); err != nil {
				c.mu.Unlock()
				logf("cannot start %s: %s", name, err)
				return
			}
			c.commands = append(c.commands, command)
			os.WriteFile(pidFile, []byte(strconv.Itoa(command.Process.Pid)), 0o600)
			c.mu.Unlock()
			command.Wait()
			time.Sleep(2 * time.Second)
		}
	}()
	return nil
}

// takeOver ends what a killed parent left.
func takeOver(pidFile, name string) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(line), "/"+name+"\x00") {
		return
	}
	syscall.Kill(pid, syscall.SIGTERM)
	for i := 0; i < 200 && syscall.Kill(pid, 0) == nil; i++ {
		time.Sleep(20 * time.Millisecond)
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

func (c *children) stop() {
	c.mu.Lock()
	c.ending = true
	all := append([]*exec.Cmd(nil), c.commands...)
	c.mu.Unlock()
	// etcd was the first to start, and is the last to end
	var ended sync.WaitGroup
	for i := len(all) - 1; i >= 0; i-- {
		if i == 0 {
			ended.Wait()
		}
		ended.Add(1)
		go func(process *os.Process) {
			defer ended.Done()
			process.Signal(syscall.SIGTERM)
			for n := 0; n < 75 && process.Signal(syscall.Signal(0)) == nil; n++ {
				time.Sleep(20 * time.Millisecond)
			}
			process.Kill()
		}(all[i].Process)
	}
	ended.Wait()
	pids, _ := filepath.Glob(filepath.Join(runDir, "*.pid"))
	for _, each := range pids {
		os.Remove(each)
	}
}
