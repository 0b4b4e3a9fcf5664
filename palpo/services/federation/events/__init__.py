"""What servers send each other as events: checked, signed, and looked at before anything is stored."""
