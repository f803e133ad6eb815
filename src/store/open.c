// store/open: the archive as a file: directory, lock, identity (application_id, user_version), integrity, schema. Rows are in rows.c.
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char schema[] =
    "CREATE TABLE run(id INTEGER PRIMARY KEY, task_hash TEXT NOT NULL, device TEXT NOT NULL, options TEXT NOT NULL, seed INTEGER NOT NULL,"
    " UNIQUE(task_hash, device, options, seed));"
    // dict: the text whose bytes are the zstd dictionary; NULL for a run's first text
    "CREATE TABLE text(id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(id), sha TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " dict INTEGER REFERENCES text(id), data BLOB NOT NULL, UNIQUE(run, sha));"
    "CREATE TABLE candidate(run INTEGER NOT NULL REFERENCES run(id), seq INTEGER NOT NULL, id INTEGER NOT NULL, hash TEXT NOT NULL,"
    " text INTEGER NOT NULL REFERENCES text(id), tuning TEXT, proposer TEXT, move TEXT, note TEXT, parent1 INTEGER, parent2 INTEGER,"
    " ptx_hash TEXT, ok INTEGER NOT NULL, time_us REAL, seconds REAL, outcome BLOB,"
    " chain TEXT NOT NULL,"   // chain.c
    " PRIMARY KEY(run, seq), UNIQUE(run, id),"
    " FOREIGN KEY(run, parent1) REFERENCES candidate(run, id), FOREIGN KEY(run, parent2) REFERENCES candidate(run, id));"
    "CREATE TABLE finding(run INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT, stage TEXT, message TEXT,"
    " FOREIGN KEY(run, seq) REFERENCES candidate(run, seq));"
    "CREATE INDEX finding_kind ON finding(run, kind);"
    // arm: a = baseline, b = candidate, timed alternately
    "CREATE TABLE sample(run INTEGER NOT NULL, seq INTEGER NOT NULL, arm TEXT NOT NULL, n INTEGER NOT NULL, time_us REAL, PRIMARY KEY(run, "
    "seq, arm, n),"
    " FOREIGN KEY(run, seq) REFERENCES candidate(run, seq)) WITHOUT ROWID;"
    "CREATE TABLE fact(run INTEGER NOT NULL REFERENCES run(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(run, key)) WITHOUT "
    "ROWID;";

static hone_code code_of(int rc) {
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_TOOBIG:
    case SQLITE_NOTADB: return HONE_E_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return HONE_E_BUSY;
    case SQLITE_NOMEM: return HONE_E_NOMEM;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISUSE:
    case SQLITE_ERROR: return HONE_E_INTERNAL;
    default: return HONE_E_IO;
    }
}

hone_code hone_store_sql_fail(hone_store *s, const char *doing, hone_err *e) {
    int rc = sqlite3_extended_errcode(s->db);
    int os = sqlite3_system_errno(s->db);
    hone_code c = code_of(rc);
    bool full = (rc & 0xff) == SQLITE_FULL || os == ENOSPC || os == EFBIG || os == EDQUOT;
    if (full) {
        hone_fail(e, c, rc, "cannot %s: no space left for '%s'", doing, s->path);
        hone_hint(e, "free some disk space and run the same command again; what is in the archive is kept");
        return c;
    }
    hone_fail(e, c, rc, "cannot %s in '%s': %s%s%s", doing, s->path, sqlite3_errmsg(s->db), os ? ": " : "", os ? strerror(os) : "");
    if (c == HONE_E_CORRUPT)
        hone_hint(e, "the archive is damaged; move '%s' away to start a new run", s->path);
    if (c == HONE_E_IO)
        hone_hint(e, "check free space, quota and permissions there and run the same command again; what is in the archive is kept");
    return c;
}

static hone_code exec(hone_store *s, const char *sql, const char *doing, hone_err *e) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? HONE_OK : hone_store_sql_fail(s, doing, e);
}

// ---- lock

static hone_code lock_busy(const char *path, int fd, hone_err *e) {
    char pid[32] = {0};
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    close(fd);
    if (n > 0)
        pid[strcspn(pid, "\n")] = 0;
    hone_fail(e, HONE_E_BUSY, 0, "archive is in use: '%s' is held by process %s", path, n > 0 && pid[0] ? pid : "unknown");
    hone_hint(e, "wait until that run ends, or give this one another output directory");
    return HONE_E_BUSY;
}

// flock dies with the process, so a killed run never leaves a stale lock; the pid is only for the message.
static hone_code take_lock(const char *dir, int *out, hone_err *e) {
    char *path = hone_path_join(dir, "lock");
    if (!path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory opening an archive");
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);   // it will be cut to nothing: no file elsewhere
    hone_code c = HONE_OK;
    if (fd < 0) {
        c = hone_fail(e, HONE_E_IO, errno, "cannot create '%s': %s", path, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        c = errno == EWOULDBLOCK ? lock_busy(path, fd, e) : hone_fail(e, HONE_E_IO, errno, "cannot lock '%s': %s", path, strerror(errno));
    } else {
        char pid[32];
        int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {   // a full disk must not stop a reader of old results
            ;
        }
        *out = fd;
    }
    hone_free(path);
    return c;
}

// ---- identity and integrity

static hone_code pragma_int(hone_store *s, const char *sql, int64_t *out, hone_err *e) {
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW) {
        hone_code c = hone_store_sql_fail(s, "read the archive", e);
        sqlite3_finalize(st);
        return c;
    }
    *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return HONE_OK;
}

static hone_code corrupt(hone_store *s, hone_err *e, const char *what) {
    hone_fail(e, HONE_E_CORRUPT, 0, "%s: '%s'", what, s->path);
    hone_hint(e, "move the file away to start a new run, or choose another output directory");
    return HONE_E_CORRUPT;
}

static hone_code check_integrity(hone_store *s, hone_err *e) {
    sqlite3_stmt *st = NULL;
    hone_code c = HONE_OK;
    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        c = hone_store_sql_fail(s, "check the archive", e);
    else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        c = corrupt(s, e, "archive is damaged");
    sqlite3_finalize(st);
    return c;
}

static hone_code exec_all(sqlite3 *db, const char *sql_text) { return sqlite3_exec(db, sql_text, NULL, NULL, NULL) == SQLITE_OK ? HONE_OK : HONE_E_INTERNAL; }

// The next object of a schema as "type name table sql"; NULL after the last.
static char *next_object(sqlite3_stmt *st) {
    if (sqlite3_step(st) != SQLITE_ROW)
        return NULL;
    return sqlite3_mprintf("%s %s %s %s", sqlite3_column_text(st, 0), sqlite3_column_text(st, 1), sqlite3_column_text(st, 2), sqlite3_column_text(st, 3));
}

static bool same_objects(sqlite3_stmt *a, sqlite3_stmt *b) {
    for (;;) {
        char *x = next_object(a), *y = next_object(b);
        bool same = x && y && strcmp(x, y) == 0, end = !x && !y;
        sqlite3_free(x);
        sqlite3_free(y);
        if (!same)
            return end;
    }
}

// An archive may come from others. Its schema must be ours to the letter: no views in place of tables, no triggers, no generated columns, no
// indexes on expressions; so that reading it computes nothing that its author chose.
static hone_code check_schema(hone_store *s, hone_err *e) {
    static const char list[] = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite!_stat%' ESCAPE '!' ORDER BY 1, 2, 3, 4";
    sqlite3 *model = NULL;
    sqlite3_stmt *theirs = NULL, *ours = NULL;
    hone_code c = HONE_OK;
    if (sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK || exec_all(model, schema) != HONE_OK ||
        sqlite3_prepare_v2(model, list, -1, &ours, NULL) != SQLITE_OK)
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory opening '%s'", s->path);
    else if (sqlite3_prepare_v2(s->db, list, -1, &theirs, NULL) != SQLITE_OK)
        c = hone_store_sql_fail(s, "read the archive's tables", e);
    else if (!same_objects(ours, theirs))
        c = corrupt(s, e, "the archive's tables are not those of hone");
    sqlite3_finalize(ours);
    sqlite3_finalize(theirs);
    sqlite3_close(model);
    return c;
}

// What a file may make SQLite do is narrowed before anything is read from it.
static void harden(sqlite3 *db) {
    static const struct { int what, value; } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}, {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
    };
    for (size_t i = 0; i < HONE_COUNT(switches); i++)
        sqlite3_db_config(db, switches[i].what, switches[i].value, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, HONE_STORE_MAX_TEXT + (1 << 20));
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_VDBE_OP, 100000);
}

static hone_code create_schema(hone_store *s, hone_err *e) {
    char sql[160];
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", HONE_STORE_APPLICATION_ID, HONE_STORE_VERSION);
    hone_code c = exec(s, "BEGIN IMMEDIATE", "create the archive", e);
    if (c == HONE_OK)
        c = exec(s, schema, "create the archive", e);
    if (c == HONE_OK)
        c = exec(s, sql, "create the archive", e);
    if (c != HONE_OK)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return c;
}

static hone_code check_identity(hone_store *s, bool *fresh, hone_err *e) {
    int64_t application = 0, version = 0, tables = 0;
    HONE_TRY(pragma_int(s, "SELECT count(*) FROM sqlite_master", &tables, e));
    HONE_TRY(pragma_int(s, "PRAGMA application_id", &application, e));
    HONE_TRY(pragma_int(s, "PRAGMA user_version", &version, e));
    *fresh = application == 0 && version == 0 && tables == 0;
    if (*fresh)
        return s->read_only ? hone_store_no_run(s, e) : HONE_OK;   // killed before its first commit
    if (application != HONE_STORE_APPLICATION_ID)
        return corrupt(s, e, "not an archive of hone");
    if (version != HONE_STORE_VERSION) {
        hone_fail(e, HONE_E_CORRUPT, (int)version, "archive '%s' has schema version %lld, this program reads version %d", s->path,
                  (long long)version, HONE_STORE_VERSION);
        hone_hint(e, "use the version of hone that wrote it, or choose another output directory");
        return HONE_E_CORRUPT;
    }
    HONE_TRY(check_integrity(s, e));
    return check_schema(s, e);
}

// SQLite takes a file that lost its tail for a database and reports damage late; a file that lost its head for a foreign one.
static hone_code check_header(hone_store *s, hone_err *e) {
    unsigned char head[100];
    FILE *f = fopen(s->path, "rb");
    if (!f)
        return errno == ENOENT && !s->read_only ? HONE_OK
                                                : hone_fail(e, HONE_E_IO, errno, "cannot open archive '%s': %s", s->path, strerror(errno));
    size_t n = fread(head, 1, sizeof head, f);
    struct stat st;
    int bad = fstat(fileno(f), &st);
    fclose(f);
    if (n == 0 && bad == 0)
        return HONE_OK;
    if (n < sizeof head || memcmp(head, "SQLite format 3", 16) != 0)
        return corrupt(s, e, n < 16 || memcmp(head, "SQLite format 3", 16) ? "not an archive of hone" : "archive is truncated");
    return HONE_OK;
}

static hone_code open_db(hone_store *s, hone_err *e) {
    int flags = s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return s->db ? hone_store_sql_fail(s, "open the archive", e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory opening '%s'", s->path);
    sqlite3_extended_result_codes(s->db, 1);
    harden(s->db);
    sqlite3_busy_timeout(s->db, 5000);
    if (!s->read_only)
        // WAL with NORMAL: a killed process loses nothing that was committed; a power cut may lose the newest commits, never the file.
        HONE_TRY(exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=256", "open the archive", e));
    HONE_TRY(exec(s, "PRAGMA foreign_keys=ON; PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY", "open the archive", e));
    bool fresh = false;
    HONE_TRY(check_identity(s, &fresh, e));
    return fresh ? create_schema(s, e) : HONE_OK;
}

static hone_code open_in(hone_store *s, const char *dir, hone_err *e) {
    s->path = hone_path_join(dir, "archive.db");
    if (!s->path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory opening an archive");
    if (!s->read_only) {
        HONE_TRY(hone_mkdirs(dir, e));
        HONE_TRY(take_lock(dir, &s->lock_fd, e));
    }
    HONE_TRY(check_header(s, e));
    return open_db(s, e);
}

hone_code hone_store_open(const char *dir, bool read_only, hone_store **out, hone_err *e) {
    *out = NULL;
    hone_store *s = hone_calloc(1, sizeof *s);
    if (!s)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory opening an archive");
    s->lock_fd = -1;
    s->read_only = read_only;
    hone_code c = open_in(s, dir, e);
    if (c != HONE_OK) {
        hone_store_close(s);
        return c;
    }
    *out = s;
    return HONE_OK;
}

void hone_store_close(hone_store *s) {
    if (!s)
        return;
    for (size_t i = 0; i < HONE_STMT_COUNT; i++)
        sqlite3_finalize(s->stmts[i]);
    sqlite3_close(s->db);
    hone_store_forget_dict(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    hone_free(s->path);
    hone_free(s);
}
