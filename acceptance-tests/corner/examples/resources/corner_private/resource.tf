resource "corner_private" "example" {
  name = "counts its updates where nobody sees them"
}
