resource "corner_number" "example" {
  float    = 3.1
  signed   = -7
  unsigned = 18446744073709551615
  exact    = 0.1
  ratios   = [0.1, 0.25]
}
