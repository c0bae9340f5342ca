resource "corner_set" "example" {
  names   = ["a", "b"]
  ports   = [80, 443]
  members = [{ name = "x" }, { name = "y", weight = 2 }]
}
