-- Queues a task's message again.
-- keys: list, record, waiting
-- args: text, task_id, now
-- uses: wake
redis.call('LPUSH', list, text)
redis.call('HINCRBY', record, '_resent', 1)
redis.call('HDEL', record, '_taken')
redis.call('ZADD', waiting, now, task_id)
wake(list)
