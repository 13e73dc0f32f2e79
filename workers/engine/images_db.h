/* images_db: the image records in engine.db. */
#pragma once

#include "images.h"
#include "state_db.h"

/* The migration that makes the tables; task_db.c lists it.
 *   image(id TEXT PRIMARY KEY, size_bytes, pulled_ms, used_ms, pull_succeeded, has_region)
 *   image_name(name TEXT PRIMARY KEY, image_id) */
extern const char images_migration[];
int images_db_load(struct state_db *db, struct images *all);
/* Writes what has changed; within the caller's transaction. Call images_db_stored after its
 * commit. */
int images_db_store(struct state_db *db, const struct images *all);
void images_db_stored(struct images *all);
