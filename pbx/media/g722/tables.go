package g722

// highestLow is the highest decision level of the lower band (Q6).
const highestLow = 2919

// The tables of G.722 §6.2 are written here and only read afterwards.
var (
	// decisionLow are the decision levels of the lower band's quantiser (Q6), and
	// codesLow the codes of all values up to the highest: of positive
	// differences, then of negative ones.
	decisionLow = [30]int{
		0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
		786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, highestLow,
	}
	codesLow = quantiser()
	// outLow4 and outLow6 are the quantiser's output values by the upper four
	// bits and by all six bits of a code (QQ4, QQ6).
	outLow4 = [16]int{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200,
		20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	outLow6 = [64]int{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704,
		-14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576,
		-3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192,
		10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032,
		1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	outHigh = [4]int{-7408, -1616, 7408, 1616} // QQ2

	// levelLow and levelHigh take a code to its row of the logarithmic
	// multipliers (RL4, RH2), which are logLow and logHigh (WL, WH).
	levelLow  = [16]int{0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0}
	levelHigh = [4]int{2, 1, 2, 1}
	logLow    = [8]int{-60, -30, 58, 172, 334, 538, 1198, 3042}
	logHigh   = [3]int{0, -214, 798}

	inverseLog = [32]int{ // ILB
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}

	// mirror is one half of the quadrature mirror filter, which is symmetric.
	mirror = [taps / 2]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}
)

// quantiser makes codesLow.
func quantiser() (codes [2][highestLow + 1]uint8) {
	level := 0
	for v := range codes[0] {
		for level < len(decisionLow) && v >= decisionLow[level] {
			level++
		}
		codes[0][v], codes[1][v] = lowCode(level, false), lowCode(level, true)
	}
	return codes
}

// lowCode is the code of a decision interval (tables 17 and 18 of the
// recommendation): positive ones count down from 61, negative ones from 31,
// but that the two smallest are 63 and 62.
func lowCode(level int, negative bool) uint8 {
	switch {
	case !negative:
		return uint8(62 - level)
	case level <= 2:
		return uint8(64 - level)
	}
	return uint8(34 - level)
}
