"""Two audits of the same cases, paired: may they be compared, what changed, who was harmed. Makes no page."""
