"""AI as an owner meets it: which provider was chosen, what may be spent, which calls went out, which documents wait for one."""
