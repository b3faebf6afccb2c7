package transporttest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link that is cut while a connection over it is being made has no connection afterwards.
func TestCutWhileDialling(t *testing.T) {
	for _, cut := range []func(*Network){
		func(n *Network) { n.Set("a", "b", Fault{Cut: true}) },
		func(n *Network) { n.Set("b", "a", Fault{Cut: true}) },
		func(n *Network) { n.Isolate("b") },
	} {
		n := New()
		n.Name("a:1", "a")
		n.Name("b:1", "b")
		require.NoError(t, n.Dial(t.Context(), "a", "b:1"))
		cut(n)
		raw, other := net.Pipe()
		_, err := n.Wrap("a", "b:1", raw).Write([]byte("x"))
		require.Error(t, err)
		require.NoError(t, other.Close())
	}
}
