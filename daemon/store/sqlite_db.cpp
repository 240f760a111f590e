#include "daemon/store/sqlite_db.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace moth::store {

Error damaged(const std::string& path, std::string_view detail) {
  return Error::of(
      Reason::kInternalError,
      fmt::format(
          "the database {0} is damaged ({1}). It was left as it is. Stop mothd, move {0} and "
          "{0}-wal away and put a backup in their place; without a backup, `sqlite3 {0} "
          ".recover` may save most of it, and with no database at all mothd starts empty",
          path, detail));
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  ::sqlite3_finalize(statement);
}

Statement::Statement(const Database* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

void Statement::bind(int index, std::string_view text) {
  ::sqlite3_bind_text64(statement_.get(), index, text.data() ? text.data() : "", text.size(),
                        SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::bind(int index, std::int64_t number) {
  ::sqlite3_bind_int64(statement_.get(), index, number);
}

Result<bool> Statement::step() {
  int code = ::sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(database_->error(code));
}

Result<> Statement::run() {
  Result<bool> row = step();
  reset();
  if (!row) return fail(std::move(row).error());
  return {};
}

void Statement::reset() {
  ::sqlite3_reset(statement_.get());
  ::sqlite3_clear_bindings(statement_.get());
}

std::int64_t Statement::number(int column) const {
  return ::sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
  const auto* bytes =
      reinterpret_cast<const char*>(::sqlite3_column_text(statement_.get(), column));
  if (!bytes) return {};
  return {bytes, static_cast<std::size_t>(::sqlite3_column_bytes(statement_.get(), column))};
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  // SQLite would create it with the umask's mode, and it holds Secrets; the -wal inherits the mode.
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(Error::from_errno(errno, "open " + path));
  ::close(file);
  sqlite3* handle = nullptr;
  int code = ::sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                               nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  if (code != SQLITE_OK) return fail(database->error(code));
  ::sqlite3_extended_result_codes(handle, 1);
  ::sqlite3_busy_timeout(handle, 2000);
  return database;
}

Database::~Database() {
  ::sqlite3_close_v2(handle_);
}

Result<> Database::exec(const std::string& sql) {
  int code = ::sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code));
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code = ::sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                  SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return fail(error(code));
  return Statement(this, statement);
}

Result<std::int64_t> Database::number(std::string_view sql) {
  MOTH_ASSIGN(Statement statement, prepare(sql));
  MOTH_ASSIGN(bool row, statement.step());
  return row ? statement.number(0) : 0;
}

Result<std::string> Database::text(std::string_view sql) {
  MOTH_ASSIGN(Statement statement, prepare(sql));
  MOTH_ASSIGN(bool row, statement.step());
  return row ? std::string(statement.text(0)) : std::string();
}

Error Database::error(int code) const {
  std::string detail = handle_ ? ::sqlite3_errmsg(handle_) : ::sqlite3_errstr(code);
  int os_errno = handle_ ? ::sqlite3_system_errno(handle_) : 0;
  int primary = code & 0xff;
  // SQLite leaves the errno of a call that failed long ago in place for errors of its own.
  if (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN && primary != SQLITE_FULL) os_errno = 0;
  if (os_errno != 0) detail += fmt::format(", {}", ::strerror(os_errno));
  Error result;
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return damaged(path_, detail);
    case SQLITE_FULL:
      result = Error::of(Reason::kInternalError,
                         fmt::format("no space left for {} ({}). Free some on its file system and "
                                     "restart mothd; containers keep running meanwhile",
                                     path_, detail));
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      result = Error::unavailable(
          fmt::format("another process uses {} ({}); end it and start mothd again", path_, detail));
      break;
    case SQLITE_IOERR:
      result = Error::of(Reason::kInternalError,
                         fmt::format("cannot read or write {} ({}). Check the disk, its free space "
                                     "and quota, then restart mothd",
                                     path_, detail));
      break;
    default:
      result = Error::of(Reason::kInternalError, fmt::format("{}: {}", path_, detail));
  }
  result.os_errno = os_errno;
  return result;
}

}  // namespace moth::store
