resource "corner_partial" "example" {
  name = "made in two halves"
}
