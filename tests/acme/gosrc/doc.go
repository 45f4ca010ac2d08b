// Package pebble pins the ACME server of the tests, which go.mod lists as a tool.
package pebble
