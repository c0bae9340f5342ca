resource "corner_by_hand" "example" {
  name = "four"
}
