"""What AI may read, as SQL: the strictest `ai_policy` of everything that has a say.

A topic within another has the stricter policy of both, and so has everything filed under it. `manual_only` is not a policy: it says of one
topic that nothing proposes it, and of the topics within it nothing.
"""

TOPIC_POLICY = """
    (
        SELECT CASE WHEN bool_or(p.policy = 'never') THEN 'never' WHEN bool_or(p.policy = 'local_only') THEN 'local_only' ELSE 'inherit' END
        FROM (
            SELECT t.ai_policy AS policy
            UNION ALL
            SELECT parent.ai_policy FROM topics AS parent WHERE parent.owner_id = t.owner_id AND parent.id = t.parent_id
        ) AS p
    )
"""
"""The stricter of what a topic (`topics AS t`) and the one that it is within say."""

POLICY = """
    coalesce((
        SELECT CASE WHEN bool_or(p.policy = 'never') THEN 'never' WHEN bool_or(p.policy = 'local_only') THEN 'local_only' ELSE 'inherit' END
        FROM (
            SELECT d.ai_policy AS policy
            UNION ALL
            SELECT t.ai_policy
            FROM document_topics AS f
            JOIN topics AS filed ON filed.owner_id = f.owner_id AND filed.id = f.topic_id
            JOIN topics AS t ON t.owner_id = f.owner_id AND t.id = ANY (ARRAY[filed.id, filed.parent_id])
            WHERE f.owner_id = d.owner_id AND f.document_id = d.id
        ) AS p
    ), 'inherit')
"""
"""The strictest of what a document (`documents AS d`), the topics it is filed under and those that they are within say."""
