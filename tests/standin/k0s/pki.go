package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// ensurePKI makes what is missing; the server's certificate anew whenever an address changed.
func ensurePKI(f flags, c config) error {
	if err := os.MkdirAll(f.pki("etcd"), 0o751); err != nil {
		return err
	}
	if !exists(f.pki("ca.crt")) {
		if err := makeCA(f.pki("ca")); err != nil {
			return err
		}
	}
	if !exists(f.pki("sa.key")) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		public, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
		private, _ := x509.MarshalPKCS8PrivateKey(key)
		if err := writePEM(f.pki("sa.pub"), "PUBLIC KEY", public); err != nil {
			return err
		}
		if err := writePEM(f.pki("sa.key"), "PRIVATE KEY", private); err != nil {
			return err
		}
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", hostname(), c.address, serviceAddress(c)}
	names = append(append(names, addresses()...), c.sans...)
	if c.external != "" {
		names = append(names, c.external)
	}
	if err := issue(f, "server", pkix.Name{CommonName: "kubernetes"}, names); err != nil {
		return err
	}
	for user, group := range map[string]string{
		"admin": "system:masters", "ccm": "system:masters",
		"scheduler": "system:masters", "apiserver-kubelet-client": "system:masters",
	} {
		name := pkix.Name{CommonName: "kubernetes-admin", Organization: []string{group}}
		if err := issue(f, user, name, nil); err != nil {
			return err
		}
		text, err := clientConfig(f, user, fmt.Sprintf("https://localhost:%d", c.port), "local", "user", "Default")
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.pki(user+".conf"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func serviceAddress(c config) string {
	address, _, err := net.ParseCIDR(c.serviceCIDR)
	if err != nil {
		return "10.96.0.1"
	}
	last := address.To4()
	last[3]++
	return last.String()
}

func makeCA(stem string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "kubernetes-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	return writePair(stem, raw, key)
}

// issue makes a certificate unless the one that is there has the same names and some life left.
func issue(f flags, stem string, subject pkix.Name, names []string) error {
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: subject, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(365 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if names != nil {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if old, err := readCertificate(f.pki(stem + ".crt")); err == nil && sameNames(old, template) {
		return nil
	}
	ca, err := readCertificate(f.pki("ca.crt"))
	if err != nil {
		return err
	}
	signer, err := readKey(f.pki("ca.key"))
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	return writePair(f.pki(stem), raw, key)
}

func sameNames(old, new *x509.Certificate) bool {
	return fmt.Sprint(old.DNSNames, old.IPAddresses) == fmt.Sprint(new.DNSNames, new.IPAddresses)
}

func clientConfig(f flags, stem, server, cluster, user, context string) (string, error) {
	data := map[string]string{}
	for key, path := range map[string]string{"ca": f.pki("ca.crt"), "crt": f.pki(stem + ".crt"), "key": f.pki(stem + ".key")} {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		data[key] = base64.StdEncoding.EncodeToString(raw)
	}
	credentials := fmt.Sprintf("    client-certificate-data: %s\n    client-key-data: %s\n", data["crt"], data["key"])
	return kubeconfigText(server, cluster, user, context, data["ca"], credentials), nil
}

func kubeconfigText(server, cluster, user, context, ca, credentials string) string {
	return fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: %s
contexts:
- context:
    cluster: %s
    user: %s
  name: %s
current-context: %s
kind: Config
preferences: {}
users:
- name: %s
  user:
%s`, ca, server, cluster, cluster, user, context, context, user, credentials)
}

func kubeconfigVerb(f flags) error {
	switch f.arg(0) {
	case "admin":
		if !exists(f.pki("admin.crt")) {
			return fmt.Errorf("admin PKI file %q not found, check if the control plane is initialized on this node", f.pki("admin.crt"))
		}
		// a running k0s knows its configuration; a stopped one is asked in vain
		c, err := runningConfig()
		if err != nil {
			if c, err = load(configFile, false); err != nil {
				return err
			}
		}
		text, err := clientConfig(f, "admin", c.public(), "local", "user", "Default")
		if err == nil {
			fmt.Print(text)
		}
		return err
	case "create":
		subject := pkix.Name{CommonName: f.arg(1)}
		if groups := f.values["groups"]; groups != "" {
			subject.Organization = []string{groups}
		}
		if err := issue(f, f.arg(1), subject, nil); err != nil {
			return err
		}
		c, err := runningConfig()
		if err != nil {
			if c, err = load(configFile, false); err != nil {
				return err
			}
		}
		text, err := clientConfig(f, f.arg(1), c.public(), "k0s", f.arg(1), f.or("context-name", "k0s"))
		if err == nil {
			fmt.Print(text)
		}
		return err
	}
	return fmt.Errorf("unknown command %q for \"k0s kubeconfig\"", f.arg(0))
}

func readCertificate(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

func readKey(path string) (crypto.Signer, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return key.(crypto.Signer), nil
}

func writePair(stem string, certificate []byte, key any) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(stem+".key", "PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(stem+".crt", "CERTIFICATE", certificate)
}

// writePEM replaces the file whole: a crash must not leave half of one.
func writePEM(path, kind string, raw []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func serial() *big.Int {
	number, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	return number
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
