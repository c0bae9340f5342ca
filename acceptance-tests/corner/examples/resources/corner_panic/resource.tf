resource "corner_panic" "example" {
  in = "nowhere"
}
