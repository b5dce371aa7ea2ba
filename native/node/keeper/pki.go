package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Specification tells what to make, see writePKI.
type Specification struct {
	Authorities  []string      `json:"authorities"`
	Keys         []string      `json:"keys"`
	Certificates []Certificate `json:"certificates"`
}

// Certificate is one that an authority signs; addresses or names make it good for a server too.
type Certificate struct {
	Name         string   `json:"name"`
	Authority    string   `json:"authority"`
	CommonName   string   `json:"common_name"`
	Organization []string `json:"organization"`
	Addresses    []net.IP `json:"addresses"`
	Names        []string `json:"names"`
}

type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

const validity = 10 * 365 * 24 * time.Hour

// writePKI writes NAME.crt and NAME.key (PEM, P-256) of each authority and certificate, and NAME.key and NAME.pub of
// each key pair, into an existing folder.
func writePKI(folder string) error {
	var specification Specification
	if err := json.NewDecoder(os.Stdin).Decode(&specification); err != nil {
		return fmt.Errorf("specification: %w", err)
	}
	authorities := map[string]*authority{}
	for _, name := range specification.Authorities {
		made, err := makeAuthority(folder, name)
		if err != nil {
			return err
		}
		authorities[name] = made
	}
	for _, name := range specification.Keys {
		if err := makeKeyPair(folder, name); err != nil {
			return err
		}
	}
	for _, certificate := range specification.Certificates {
		signer := authorities[certificate.Authority]
		if signer == nil {
			return fmt.Errorf("%s: no such authority: %s", certificate.Name, certificate.Authority)
		}
		if err := makeCertificate(folder, certificate, signer); err != nil {
			return err
		}
	}
	return nil
}

func makeAuthority(folder, name string) (*authority, error) {
	template, err := newTemplate(pkix.Name{CommonName: "innerloop-" + name})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign
	key, err := makeKey(folder, name)
	if err != nil {
		return nil, err
	}
	self := &authority{template, key}
	self.certificate, err = sign(folder, name, template, key, self)
	return self, err
}

func makeCertificate(folder string, wanted Certificate, signer *authority) error {
	template, err := newTemplate(pkix.Name{CommonName: wanted.CommonName, Organization: wanted.Organization})
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(wanted.Addresses)+len(wanted.Names) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	template.IPAddresses, template.DNSNames = wanted.Addresses, wanted.Names
	key, err := makeKey(folder, wanted.Name)
	if err != nil {
		return err
	}
	_, err = sign(folder, wanted.Name, template, key, signer)
	return err
}

func makeKeyPair(folder, name string) error {
	key, err := makeKey(folder, name)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(folder, name+".pub", "PUBLIC KEY", public)
}

func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// an hour back: a virtual machine's clock may jump when it wakes up
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(validity),
	}, nil
}

func makeKey(folder, name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(folder, name+".key", "EC PRIVATE KEY", encoded)
}

func sign(folder, name string, template *x509.Certificate, key crypto.Signer, by *authority) (*x509.Certificate, error) {
	encoded, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := writePEM(folder, name+".crt", "CERTIFICATE", encoded); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(encoded)
}

func writePEM(folder, file, kind string, content []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	return os.WriteFile(filepath.Join(folder, file), text, 0o600)
}
