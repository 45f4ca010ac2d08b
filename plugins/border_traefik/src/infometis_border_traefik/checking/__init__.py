"""What a border rests on, looked at before an apply: facts are gathered first, then judged."""
