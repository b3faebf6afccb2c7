package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dapple/catalogue"
	"dapple/command"
)

// keyRotation says how long the keys live that sign tokens.
type keyRotation struct {
	age      time.Duration // after which a key signs no more
	lifetime time.Duration // of tokens
}

// retirement is for how many lifetimes of tokens a key stays after it has stopped signing. More than one is for nodes that
// lag behind, and so still sign with it, or have a longer lifetime than the leader.
const retirement = 2

// due returns whether a new key is to be added, and which are to be deleted. The keys are in the order of their creation.
func (r keyRotation) due(keys []catalogue.SigningKey, now time.Time) (add bool, remove []string) {
	for i, key := range keys {
		if i == len(keys)-1 {
			add = now.Sub(time.UnixMicro(key.Created)) >= r.age
			break
		}
		if stopped := time.UnixMicro(keys[i+1].Created); now.Sub(stopped) >= retirement*r.lifetime {
			remove = append(remove, key.ID)
		}
	}
	return add, remove
}

// rotateKeys has new keys sign tokens, and those deleted that have signed none for long enough, until ctx ends. As for
// lifetimes, the node that leads looks for what is due.
func (n *Node) rotateKeys(ctx context.Context, interval time.Duration, rotation keyRotation) {
	if rotation.age == 0 {
		return
	}
	rotation.age = max(rotation.age, rotation.lifetime) // or there would be many keys at a time
	n.whileLeading(ctx, interval, "signing keys could not be rotated", func(ctx context.Context) error {
		return n.rotateKeysDue(ctx, rotation)
	})
}

// rotateKeysDue proposes what is due. A key is deleted in root's name, by the command that root's own requests make.
func (n *Node) rotateKeysDue(ctx context.Context, rotation keyRotation) error {
	keys, level, err := n.signingKeys()
	if err != nil {
		return err
	}
	add, remove := rotation.due(keys, time.Now())
	if add {
		id, seed := uuid.NewString(), make([]byte, 32)
		if _, err := rand.Read(seed); err != nil {
			return err
		}
		if err := n.proposeOwn(ctx, command.TypeAddSigningKey, &command.AddSigningKey{Id: id, Seed: seed}); err != nil {
			return err
		}
		n.logger.Info("a new key signs tokens", "key", id)
	}
	if level < command.TypeDeleteSigningKey.Features() {
		return nil
	}
	for _, id := range remove {
		if err := n.proposeAs(ctx, catalogue.RootAccount, command.TypeDeleteSigningKey, &command.DeleteSigningKey{Id: id}); err != nil {
			return fmt.Errorf("key %s: %w", id, err)
		}
		n.logger.Info("a signing key was deleted: all tokens that it has signed are over", "key", id)
	}
	return nil
}

// signingKeys returns the keys that this node's state has, and its feature level.
func (n *Node) signingKeys() (keys []catalogue.SigningKey, level uint64, err error) {
	v, err := n.machine.View()
	if err != nil {
		return nil, 0, err
	}
	if keys, err = catalogue.SigningKeys(v); err == nil {
		level, err = catalogue.FeatureLevel(v)
	}
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	return keys, level, err
}
