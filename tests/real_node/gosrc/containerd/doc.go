// Package containerd pins the parts of containerd, which go.mod lists as tools.
// It is a module of its own since it speaks an older version of the runtime interface
// than the kubelet does; everything else is of the versions that the kubelet is built with.
package containerd
