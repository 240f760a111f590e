#include "daemon/store/migrations.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "api/base/log.h"

namespace moth::store {
namespace {

constexpr std::int64_t kApplicationId = 0x6d6f7468;  // "moth"

// Rows of objects are found through the index and updated in place, so that a small change costs
// one page of the log. `crc` is the CRC-32 of body.
Result<> initial(Database& database) {
  return database.exec(R"(
    CREATE TABLE setting (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE resource (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE object (
      resource INTEGER NOT NULL REFERENCES resource(id),
      ns TEXT NOT NULL,
      name TEXT NOT NULL,
      crc INTEGER NOT NULL,
      body TEXT NOT NULL,
      UNIQUE (resource, ns, name));
  )");
}

Result<> run_step(Database& database, const Migration& step) {
  MOTH_TRY(database.exec("BEGIN IMMEDIATE"));
  Result<> applied = step.apply(database);
  if (applied) {
    applied = database.exec(fmt::format(
        "INSERT INTO schema_version (version, what, applied_at) VALUES ({}, '{}', unixepoch()); "
        "COMMIT",
        step.version, step.what));
  }
  if (applied) return {};
  // The step's own error is what matters.
  (void)database.exec("ROLLBACK");
  applied.error().with_context(
      fmt::format("migration {} ({}) of {}", step.version, step.what, database.path()));
  return applied;
}

Result<> back_up(Database& database, std::int64_t version) {
  std::string copy = fmt::format("{}.v{}.bak", database.path(), version);
  // One of an attempt that was cut short.
  ::unlink(copy.c_str());
  MOTH_ASSIGN(Statement statement, database.prepare("VACUUM INTO ?1"));
  statement.bind(1, copy);
  return statement.run();
}

}  // namespace

std::span<const Migration> migrations() {
  static const std::array<Migration, 1> kSteps = {Migration{1, "objects", initial}};
  return kSteps;
}

Result<> migrate(Database& database, std::span<const Migration> steps) {
  MOTH_ASSIGN(std::int64_t id, database.number("PRAGMA application_id"));
  MOTH_ASSIGN(std::int64_t tables, database.number("SELECT count(*) FROM sqlite_schema"));
  if (id != kApplicationId && tables > 0) {
    return fail(Error::of(Reason::kInternalError,
                          fmt::format("{} is a database of another program; give mothd a data "
                                      "directory of its own",
                                      database.path())));
  }
  if (id != kApplicationId || tables == 0) {
    MOTH_TRY(database.exec(fmt::format(
        "BEGIN IMMEDIATE; PRAGMA application_id = {}; CREATE TABLE IF NOT EXISTS schema_version "
        "(version INTEGER PRIMARY KEY, what TEXT NOT NULL, applied_at INTEGER NOT NULL); COMMIT",
        kApplicationId)));
  }
  MOTH_ASSIGN(std::int64_t version, database.number("SELECT max(version) FROM schema_version"));
  std::int64_t newest = steps.empty() ? 0 : steps.back().version;
  if (version > newest) {
    return fail(Error::of(
        Reason::kInternalError,
        fmt::format("{} has format {}, written by a newer moth; this one knows formats up to {}. "
                    "Install the newer moth again, or put a backup made by this one in its place "
                    "({}.v{}.bak, if the newer one left it)",
                    database.path(), version, newest, database.path(), newest)));
  }
  if (version == newest) return {};
  if (version > 0) MOTH_TRY(back_up(database, version));
  for (const Migration& step : steps) {
    if (step.version <= version) continue;
    MOTH_TRY(run_step(database, step));
    log::debug("the database was migrated", log::field("version", step.version),
               log::field("what", step.what));
  }
  return {};
}

}  // namespace moth::store
