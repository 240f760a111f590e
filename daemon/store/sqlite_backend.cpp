#include "daemon/store/sqlite_backend.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <map>
#include <optional>

#include "api/base/log.h"
#include "daemon/store/data_lock.h"
#include "daemon/store/migrations.h"
#include "daemon/store/object_loader.h"
#include "daemon/store/sqlite_db.h"

namespace moth::store {
namespace {

// EXCLUSIVE keeps the index of the log in memory, so that there is no -shm file and no locking per
// commit. A checkpoint rewrites pages in the database, so it comes seldom; both bound the log.
constexpr const char* kPragmas =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
    "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 33554432; "
    "PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF";

std::int64_t checksum(std::string_view body) {
  return static_cast<std::int64_t>(
      ::crc32_z(0, reinterpret_cast<const unsigned char*>(body.data()), body.size()));
}

Result<> sync_path(const std::string& path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(Error::from_errno(errno, "open " + path));
  int outcome = ::fsync(file);
  int error = errno;
  ::close(file);
  if (outcome != 0) return fail(Error::from_errno(error, "sync " + path));
  return {};
}

struct Statements {
  Statement begin, commit, rollback, put, remove, set, add_resource;

  static Result<Statements> prepare(Database& database) {
    MOTH_ASSIGN(Statement begin, database.prepare("BEGIN IMMEDIATE"));
    MOTH_ASSIGN(Statement commit, database.prepare("COMMIT"));
    MOTH_ASSIGN(Statement rollback, database.prepare("ROLLBACK"));
    MOTH_ASSIGN(Statement put,
                database.prepare("INSERT INTO object (resource, ns, name, crc, body) "
                                 "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (resource, ns, name) "
                                 "DO UPDATE SET crc = excluded.crc, body = excluded.body"));
    MOTH_ASSIGN(Statement remove, database.prepare("DELETE FROM object WHERE resource = ?1 AND "
                                                   "ns = ?2 AND name = ?3"));
    MOTH_ASSIGN(Statement set, database.prepare("INSERT INTO setting (key, value) VALUES (?1, ?2) "
                                                "ON CONFLICT (key) DO UPDATE SET value = ?2"));
    MOTH_ASSIGN(Statement add_resource,
                database.prepare("INSERT INTO resource (id, name) VALUES (?1, ?2)"));
    return Statements{std::move(begin),  std::move(commit), std::move(rollback),    std::move(put),
                      std::move(remove), std::move(set),    std::move(add_resource)};
  }
};

class SqliteBackend final : public Backend {
 public:
  SqliteBackend(DataLock lock, std::unique_ptr<Database> database)
      : lock_(std::move(lock)), database_(std::move(database)) {}

  Result<Snapshot> load() override {
    Snapshot snapshot;
    MOTH_ASSIGN(std::int64_t reserved,
                database_->number("SELECT value FROM setting WHERE key = 'reserved_revision'"));
    MOTH_ASSIGN(std::int64_t clean,
                database_->number("SELECT value FROM setting WHERE key = 'clean_stop'"));
    snapshot.reserved_revision = static_cast<std::uint64_t>(reserved);
    snapshot.clean_stop = clean_ = clean != 0;
    // Loading reads every row and checks it, but not the indexes.
    if (!clean_) MOTH_TRY(check());
    MOTH_TRY(load_resources());
    MOTH_TRY(load_rows(snapshot));
    MOTH_ASSIGN(Statements statements, Statements::prepare(*database_));
    statements_.emplace(std::move(statements));
    MOTH_TRY(database_->exec("PRAGMA shrink_memory"));
    return snapshot;
  }

  Result<> commit(const CommitBatch& batch) override {
    MOTH_TRY(statements_->begin.run());
    Result<> written = write(batch);
    if (written) written = statements_->commit.run();
    if (written) {
      clean_ = batch.clean_stop;
      for (auto& [name, id] : new_resources_) resources_.emplace(name, id);
    } else {
      // Fails when SQLite has rolled back by itself, as it does on a full disk.
      (void)statements_->rollback.run();
    }
    new_resources_.clear();
    return written;
  }

  Result<> backup(const std::string& path) override {
    if (::access(path.c_str(), F_OK) == 0) {
      return fail(Error::bad_request(path + " exists already; name a new file for the backup"));
    }
    // The copy holds Secrets: nobody else may read it, not even while it is written.
    int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return fail(Error::from_errno(errno, "create " + path));
    ::close(file);
    Result<> copied = copy_to(path);
    if (copied) copied = sync_path(path);
    if (!copied) ::unlink(path.c_str());
    return copied;
  }

  void close() override {
    if (auto done = database_->exec("PRAGMA wal_checkpoint(TRUNCATE)"); !done) {
      // The log holds everything, the next start reads it.
      log::warning("the log of the database was not folded in",
                   log::field("reason", done.error().message));
    }
    statements_.reset();
    database_.reset();
  }

 private:
  Result<> check() {
    MOTH_ASSIGN(std::string verdict, database_->text("PRAGMA quick_check(1)"));
    if (verdict != "ok") return fail(damaged(database_->path(), verdict));
    return {};
  }

  Result<> load_resources() {
    MOTH_ASSIGN(Statement query, database_->prepare("SELECT id, name FROM resource"));
    for (;;) {
      MOTH_ASSIGN(bool row, query.step());
      if (!row) return {};
      resources_.emplace(query.text(1), query.number(0));
      last_resource_ = std::max(last_resource_, query.number(0));
    }
  }

  // In the order of the table on disk, which is much faster to read than that of the keys.
  Result<> load_rows(Snapshot& snapshot) {
    std::map<std::int64_t, std::string> names;
    for (const auto& [name, id] : resources_) names.emplace(id, name);
    MOTH_ASSIGN(Statement query, database_->prepare("SELECT resource, ns, name, crc, body "
                                                    "FROM object"));
    for (;;) {
      MOTH_ASSIGN(bool row, query.step());
      if (!row) return {};
      auto resource = names.find(query.number(0));
      std::string_view body = query.text(4);
      if (resource == names.end() || checksum(body) != query.number(3)) {
        return fail(
            damaged(database_->path(), fmt::format("the content of {} {}/{} has changed",
                                                   resource == names.end() ? "?" : resource->second,
                                                   query.text(1), query.text(2))));
      }
      Result<ObjectPtr> object = load_object(std::string(body));
      if (!object || (*object)->ns() != query.text(1) || (*object)->name() != query.text(2)) {
        return fail(
            damaged(database_->path(), fmt::format("{} {}/{} cannot be decoded", resource->second,
                                                   query.text(1), query.text(2))));
      }
      snapshot.rows.push_back({resource->second, *std::move(object)});
    }
  }

  Result<> write(const CommitBatch& batch) {
    for (const RowWrite& row : batch.rows) {
      MOTH_ASSIGN(std::int64_t resource, resource_id(row.resource));
      Statement& statement = row.remove ? statements_->remove : statements_->put;
      statement.bind(1, resource);
      statement.bind(2, row.object->ns());
      statement.bind(3, row.object->name());
      if (!row.remove) {
        statement.bind(4, checksum(row.object->text()));
        statement.bind(5, row.object->text());
      }
      MOTH_TRY(statement.run());
    }
    if (batch.reserved_revision) {
      MOTH_TRY(set("reserved_revision", static_cast<std::int64_t>(*batch.reserved_revision)));
    }
    if (batch.clean_stop != clean_) MOTH_TRY(set("clean_stop", batch.clean_stop ? 1 : 0));
    return {};
  }

  Result<> set(std::string_view key, std::int64_t value) {
    statements_->set.bind(1, key);
    statements_->set.bind(2, value);
    return statements_->set.run();
  }

  Result<std::int64_t> resource_id(const std::string& name) {
    if (auto it = resources_.find(name); it != resources_.end()) return it->second;
    if (auto it = new_resources_.find(name); it != new_resources_.end()) return it->second;
    std::int64_t id = ++last_resource_;
    statements_->add_resource.bind(1, id);
    statements_->add_resource.bind(2, name);
    MOTH_TRY(statements_->add_resource.run());
    new_resources_.emplace(name, id);
    return id;
  }

  Result<> copy_to(const std::string& path) {
    MOTH_ASSIGN(Statement statement, database_->prepare("VACUUM INTO ?1"));
    statement.bind(1, path);
    return statement.run();
  }

  DataLock lock_;  // goes last
  std::unique_ptr<Database> database_;
  std::optional<Statements> statements_;
  std::map<std::string, std::int64_t> resources_;
  std::map<std::string, std::int64_t> new_resources_;  // of the transaction that runs
  std::int64_t last_resource_ = 0;
  bool clean_ = false;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_sqlite_backend(const std::string& data_dir) {
  MOTH_ASSIGN(DataLock lock, DataLock::take(data_dir));
  MOTH_ASSIGN(auto database, Database::open(data_dir + "/" + kDatabaseFile));
  MOTH_TRY(database->exec(kPragmas));
  MOTH_TRY(migrate(*database));
  // The files' names, too, must survive a power cut.
  MOTH_TRY(sync_path(data_dir));
  return std::make_unique<SqliteBackend>(std::move(lock), std::move(database));
}

}  // namespace moth::store
