//! The real command lines run the corner provider: every tricky behaviour on the installed Terraform and on
//! OpenTofu, what must also hold on old and new Terraform on 1.5.7 and 1.15.0.

mod lifecycle;
mod planning;
mod support;
mod things;
mod values;
