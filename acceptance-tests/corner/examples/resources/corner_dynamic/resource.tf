resource "corner_dynamic" "example" {
  value = {
    any  = [true, 1, "type"]
    deep = { at = { any = "depth" } }
  }
}
