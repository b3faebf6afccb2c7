package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"

	"dapple/catalogue"
	"dapple/command"
	"dapple/internal/password"
)

// settings returns the settings of a new cluster; none for one that earlier programs may join, which do not know settings.
func settings(cfg Config) []*command.Setting {
	if cfg.NameSchema == "" || *cfg.FeatureLevel == 0 {
		return nil
	}
	return []*command.Setting{{Name: catalogue.SettingNameSchema, Value: cfg.NameSchema}}
}

// errNoRoot refuses to form a cluster that nobody could log in to.
var errNoRoot = errors.New("no cluster can be formed without root's first identity: " +
	"set DAPPLE_ROOT_USER and DAPPLE_ROOT_PASSWORD or DAPPLE_ROOT_PASSWORD_FILE")

// genesis returns what makes the first command of a new cluster. Everything random in it is made here, once, by the node that
// forms the cluster.
func genesis(cfg Config) func(clusterID [16]byte) (*command.Genesis, error) {
	return func(clusterID [16]byte) (*command.Genesis, error) {
		if cfg.RootUser == "" || cfg.RootPassword == "" {
			return nil, errNoRoot
		}
		if length := utf8.RuneCountInString(cfg.RootPassword); length < cfg.PasswordMinLength {
			cfg.Logger.Warn("root's first password is short; change it: dapple account set-password",
				"characters", length, "recommended", cfg.PasswordMinLength)
		}
		hash, err := password.Hash(cfg.RootPassword)
		if err != nil {
			return nil, fmt.Errorf("root's password: %w", err)
		}
		seed := make([]byte, 32)
		if _, err := rand.Read(seed); err != nil {
			return nil, err
		}
		return &command.Genesis{
			ClusterId: clusterID[:], RootIdentity: cfg.RootUser, RootPassword: hash,
			KeyId: uuid.NewString(), KeySeed: seed, Schema: catalogue.SchemaVersion, Features: uint32(*cfg.FeatureLevel),
			Settings: settings(cfg),
		}, nil
	}
}
