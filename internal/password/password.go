// Package password hashes passwords with argon2id and checks them against hashes in PHC string format.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Parameters of new hashes. They are written into each hash, so that they can be raised later.
const (
	memoryKiB = 19 << 10
	passes    = 2
	threads   = 1
	saltLen   = 16
	keyLen    = 32
)

// Bounds of the parameters that are read from a hash: whoever can plant one must not be able to ask for more.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 16
	maxThreads   = 16
	minSaltLen   = 8
	maxSaltLen   = 64
	minKeyLen    = 16
	maxKeyLen    = 64
)

// ErrHash is returned for a text that is no argon2id hash, or one whose parameters are out of bounds.
var ErrHash = errors.New("malformed password hash")

// hashed is a parsed PHC string.
type hashed struct {
	memory  uint32
	passes  uint32
	threads uint8
	salt    []byte
	key     []byte
}

// Hash returns the hash of a password with a new random salt, in PHC string format. It takes tens of milliseconds of a core
// and 19 MiB.
func Hash(password string) (string, error) {
	h := hashed{memory: memoryKiB, passes: passes, threads: threads, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	if _, err := rand.Read(h.salt); err != nil {
		return "", err
	}
	h.key = h.derive(password)
	return h.String(), nil
}

// Verify reports whether a password fits a hash. It costs about what Hash costs, whatever the outcome; callers bound how many
// run at one time.
func Verify(password, phc string) (bool, error) {
	h, err := parse(phc)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.derive(password), h.key) == 1, nil
}

// Waste costs what Verify costs with a new hash, so that a name that does not exist cannot be told by the time it takes.
func Waste(password string) {
	h := hashed{memory: memoryKiB, passes: passes, threads: threads, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	h.derive(password)
}

func (h *hashed) derive(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(len(h.key)))
}

// String returns the hash in PHC string format.
func (h *hashed) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.threads, encode(h.salt), encode(h.key))
}

func parse(phc string) (*hashed, error) {
	fields := strings.Split(phc, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, fmt.Errorf("%w: not argon2id", ErrHash)
	}
	params := strings.Split(fields[3], ",")
	if len(params) != 3 {
		return nil, fmt.Errorf("%w: parameters", ErrHash)
	}
	memory, okM := parameter(params[0], "m=", maxMemoryKiB)
	passes, okT := parameter(params[1], "t=", maxPasses)
	threads, okP := parameter(params[2], "p=", maxThreads)
	if !okM || !okT || !okP || memory < 8*threads {
		return nil, fmt.Errorf("%w: parameters out of bounds", ErrHash)
	}
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(fields[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(fields[5])
	if errSalt != nil || errKey != nil || len(salt) < minSaltLen || len(salt) > maxSaltLen || len(key) < minKeyLen || len(key) > maxKeyLen {
		return nil, fmt.Errorf("%w: salt or key", ErrHash)
	}
	return &hashed{memory: memory, passes: passes, threads: uint8(threads), salt: salt, key: key}, nil
}

// parameter reads a number from 1 to limit behind its name.
func parameter(text, name string, limit uint64) (uint32, bool) {
	digits, found := strings.CutPrefix(text, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), found && err == nil && n >= 1 && n <= limit
}
