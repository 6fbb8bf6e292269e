package rtpio

import "io"

const planeRole = "DIPCAST_PLANE_ROLE"

func planeHelper(io.Reader, io.Writer) int { return 0 }
