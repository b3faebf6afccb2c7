package catalogue

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWideInt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1, 1 << 40, -1 << 40}
	for range 200 {
		var (
			sum  wideInt
			want big.Int
		)
		for range 20 {
			n := numbers[random.IntN(len(numbers))]
			if random.IntN(2) == 0 {
				sum.add(n)
				want.Add(&want, big.NewInt(n))
			} else {
				sum.subtract(n)
				want.Sub(&want, big.NewInt(n))
			}
			require.Equal(t, want.Sign() == 0, sum.isZero())
			require.Equal(t, want.IsInt64(), sum.fits())
			switch {
			case want.IsInt64():
				require.Equal(t, want.Int64(), sum.clamped())
			case want.Sign() < 0:
				require.EqualValues(t, math.MinInt64, sum.clamped())
			default:
				require.EqualValues(t, math.MaxInt64, sum.clamped())
			}
		}
	}
}
