resource "corner_lying" "example" {
  about = "nothing"
  name  = "as it is"
}
