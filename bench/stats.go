package bench

import (
	"math"
	"slices"
)

// median is the middle of the values, or between the two in the middle; 0 for
// none. It leaves them as they are.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// percentile is the smallest of the sorted values that is not less than p
// percent of them; 0 for none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	const rounding = 1e-9 // 99.9 percent of 1,000 are not quite 999
	i := int(math.Ceil(p/100*float64(len(sorted))-rounding)) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// ratio is b to a; 0 if one of them is not known.
func ratio(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return b / a
}
