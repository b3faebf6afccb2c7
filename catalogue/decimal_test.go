package catalogue

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecimals(t *testing.T) {
	ascending := []string{
		"-1e400", "-9223372036854775809", "-9223372036854775808", "-9223372036854775807", "-1.5", "-1", "-0.25", "0", "1e-400", "0.001", "0.01",
		"0.1", "0.25", "1", "1.5", "9", "10", "9007199254740992", "9007199254740993", "9223372036854775806", "9223372036854775807",
		"9223372036854775808", "18446744073709551615", "18446744073709551616", "1e400",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			x, ok := parseDecimal(a)
			require.True(t, ok, a)
			y, ok := parseDecimal(b)
			require.True(t, ok, b)
			want := new(big.Int).Sub(big.NewInt(int64(i)), big.NewInt(int64(j))).Sign()
			require.Equal(t, want, x.compare(y), "%s and %s", a, b)
		}
	}
	for a, b := range map[string]string{"-0": "0", "0.0": "0", "5e9": "5000000000", "5.0": "5", "1.50": "15e-1", "+7": "7", "00100": "1E2", "0e9": "0", ".5": "0.5"} {
		x, ok := parseDecimal(a)
		require.True(t, ok, a)
		y, _ := parseDecimal(b)
		require.Zero(t, x.compare(y), "%s and %s", a, b)
	}
	for _, text := range []string{"", "-", ".", "x", "1x", "1e", "1e1.5", "e5", "0x10", "1_0", "inf", "NaN", "1e99999999999999999999", "--1", "1 "} {
		_, ok := parseDecimal(text)
		require.False(t, ok, text)
	}
}

func TestWholeNumbers(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0.0": 0, "5": 5, "5.0": 5, "5e9": 5_000_000_000, "-120e-1": -12, "0e500": 0, "9223372036854775807": 1<<63 - 1,
		"-9223372036854775808": -1 << 63, "9.223372036854775807e18": 1<<63 - 1,
	} {
		n, ok := wholeNumber(text)
		require.True(t, ok, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{"0.5", "1e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e500", "1e-500", "x", ""} {
		_, ok := wholeNumber(text)
		require.False(t, ok, text)
	}
}

func FuzzDecimal(f *testing.F) {
	for _, text := range []string{"0", "-1.5e3", "9223372036854775807", "1e-3", "00.100"} {
		f.Add(text, "1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, xok := parseDecimal(a)
		y, yok := parseDecimal(b)
		if !xok || !yok || max(x.point, y.point, -x.point, -y.point) > 1000 {
			return
		}
		p, pok := new(big.Rat).SetString(a)
		q, qok := new(big.Rat).SetString(b)
		if pok && qok && p.Cmp(q) != x.compare(y) {
			t.Fatalf("%s and %s: %d, want %d", a, b, x.compare(y), p.Cmp(q))
		}
	})
}
