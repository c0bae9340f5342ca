terraform import streamverse_entitlement_policy.main "$(terraform output -raw definition)"
