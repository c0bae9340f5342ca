resource "corner_modified" "example" {
  cores = 4
}

output "cost" {
  value = corner_modified.example.cost # 28, and known before apply
}
