// The SQLite backend in a directory of its own: reopening, migrations, damage, a full disk,
// locking, backups.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "daemon/store/migrations.h"
#include "daemon/store/sqlite_backend.h"
#include "daemon/store/sqlite_db.h"
#include "tests/unit/daemon/store/fixture.h"

namespace moth::store {
namespace {

class SqliteStoreTest : public StoreTest {
 protected:
  ~SqliteStoreTest() override { store.reset(); }

  StoreOptions sqlite_options() {
    StoreOptions result = options();
    result.data_dir = dir.path() + "/state/nested";
    return result;
  }
  std::string file(const std::string& name) { return dir.path() + "/state/nested/" + name; }
  // What the daemon's next start does after a crash, or after a clean stop.
  Result<> reopen(bool clean) {
    if (clean) EXPECT_TRUE(loop.run(store->close()));
    return open(sqlite_options());
  }
  void sql(const std::string& statements) {
    auto database = Database::open(file(kDatabaseFile));
    ASSERT_TRUE(database);
    auto outcome = (*database)->exec(statements);
    ASSERT_TRUE(outcome) << outcome.error().message;
  }
  void overwrite(const std::string& path, off_t offset, const std::string& bytes) {
    int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::pwrite(fd, bytes.data(), bytes.size(), offset), static_cast<ssize_t>(bytes.size()));
    ::close(fd);
  }

  TempDir dir;
};

TEST_F(SqliteStoreTest, KeepsEverythingOverCleanStopsAndCrashes) {
  ASSERT_TRUE(open(sqlite_options()));
  EXPECT_EQ(store->revision(), 1u);
  std::uint64_t highest = 0;
  for (bool clean : {false, true, false, true, true}) {
    std::string suffix = std::to_string(highest);
    ASSERT_TRUE(create("default", "a" + suffix, 1));
    ASSERT_TRUE(create("default", "b" + suffix, 1));
    ASSERT_TRUE(update("default", "b" + suffix, 2));
    ASSERT_TRUE(create("default", "c" + suffix, 1));
    ASSERT_TRUE(remove("default", "c" + suffix));
    ASSERT_TRUE(finish(
        store->stage_create(deployments(), make_pod("", "d" + suffix), Durability::kDurable)));
    highest = store->revision();
    auto text = store->get(pods(), "default", "b" + suffix)->text();
    auto reopened = reopen(clean);
    ASSERT_TRUE(reopened) << reopened.error().message;
    EXPECT_GE(store->revision(), highest);
    if (clean) {
      EXPECT_EQ(store->revision(), highest);
    }
    EXPECT_EQ(value_of("default", "a" + suffix), 1);
    EXPECT_EQ(store->get(pods(), "default", "b" + suffix)->text(), text);
    EXPECT_EQ(store->get(pods(), "default", "c" + suffix), nullptr);
    EXPECT_NE(store->get(deployments(), "", "d" + suffix), nullptr);
    highest = store->revision();
  }
  EXPECT_EQ(store->count(pods()), 10u);
}

TEST_F(SqliteStoreTest, FilesAreForTheOwnerOnly) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(create("default", "a"));
  struct stat status {};
  for (const char* name : {kDatabaseFile, "state.db-wal", kLockFile}) {
    ASSERT_EQ(::stat(file(name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
  ASSERT_EQ(::stat(file("").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(SqliteStoreTest, TheLogIsBoundedAndFoldedInAtTheStop) {
  ASSERT_TRUE(open(sqlite_options()));
  Json big = make_pod("default", "big");
  std::uintmax_t largest = 0;
  for (int i = 0; i < 60; ++i) {
    big["spec"]["text"] = std::string(1 << 20, static_cast<char>('a' + i % 26));
    auto latest = store->latest(pods(), "default", "big");
    ASSERT_TRUE(finish(latest ? store->stage_update(pods(), big, latest, Durability::kDurable)
                              : store->stage_create(pods(), big, Durability::kDurable)));
    largest = std::max(largest, std::filesystem::file_size(file("state.db-wal")));
  }
  EXPECT_LT(largest, std::uintmax_t{32} << 20);
  ASSERT_TRUE(loop.run(store->close()));
  EXPECT_FALSE(std::filesystem::exists(file("state.db-wal")));
}

TEST_F(SqliteStoreTest, IdleWritesNothing) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(create("default", "a"));
  auto written = [&] { return std::filesystem::last_write_time(file("state.db-wal")); };
  auto before = written();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(update("default", "a", i + 1, Durability::kLazy));
  EXPECT_EQ(written(), before);
}

TEST_F(SqliteStoreTest, ASecondDaemonIsRefusedWithThePidOfTheFirst) {
  ASSERT_TRUE(open(sqlite_options()));
  auto second = loop.run(Store::open(sqlite_options()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, Reason::kServiceUnavailable);
  EXPECT_NE(second.error().message.find("another daemon (pid " + std::to_string(::getpid()) + ")"),
            std::string::npos)
      << second.error().message;
  store.reset();
  EXPECT_TRUE(open(sqlite_options()));
}

// Damage.

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  std::filesystem::create_directories(file(""));
  std::string text = "these are my holiday notes, not a database; " + std::string(4096, 'x');
  std::ofstream(file(kDatabaseFile)) << text;
  auto refused = open(sqlite_options());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("is damaged"), std::string::npos);
  EXPECT_NE(refused.error().message.find("backup"), std::string::npos);
  std::ifstream in(file(kDatabaseFile));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
}

TEST_F(SqliteStoreTest, ADatabaseOfAnotherProgramIsRefused) {
  std::filesystem::create_directories(file(""));
  sql("CREATE TABLE kine (id INTEGER)");
  auto refused = open(sqlite_options());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("is a database of another program"), std::string::npos);
}

TEST_F(SqliteStoreTest, DamagedPagesAreNoticed) {
  ASSERT_TRUE(open(sqlite_options()));
  std::vector<server::StagedWritePtr> writes;
  for (int i = 0; i < 500; ++i) {
    writes.push_back(*store->stage_create(pods(), make_pod("default", "p" + std::to_string(i)),
                                          Durability::kDurable));
  }
  ASSERT_TRUE(loop.run(writes.back()->committed()));
  ASSERT_TRUE(loop.run(store->close()));
  store.reset();
  auto size = static_cast<off_t>(std::filesystem::file_size(file(kDatabaseFile)));
  int noticed = 0, tried = 0;
  for (off_t offset = 4096; offset + 200 < size; offset += 8192) {
    std::filesystem::copy_file(file(kDatabaseFile), file("saved"),
                               std::filesystem::copy_options::overwrite_existing);
    overwrite(file(kDatabaseFile), offset, std::string(100, '\xee'));
    // A crash, so that the indexes are looked at too.
    auto outcome = loop.run(Store::open(sqlite_options()));
    ++tried;
    if (!outcome) {
      ++noticed;
      EXPECT_NE(outcome.error().message.find("is damaged"), std::string::npos)
          << outcome.error().message;
    } else {
      EXPECT_EQ((*outcome)->count(pods()), 500u) << offset;
    }
    if (outcome) outcome->reset();
    std::filesystem::copy_file(file("saved"), file(kDatabaseFile),
                               std::filesystem::copy_options::overwrite_existing);
  }
  EXPECT_GT(noticed, tried / 2);
  EXPECT_TRUE(open(sqlite_options()));
}

TEST_F(SqliteStoreTest, AChangedByteInAnObjectIsNoticed) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(create("default", "precious", 1));
  ASSERT_TRUE(loop.run(store->close()));
  store.reset();
  sql("UPDATE object SET body = replace(body, '\"value\":1', '\"value\":7')");
  auto refused = open(sqlite_options());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the content of pods default/precious has changed"),
            std::string::npos)
      << refused.error().message;
}

// Migrations.

TEST_F(SqliteStoreTest, ANewerFormatIsRefused) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(loop.run(store->close()));
  store.reset();
  sql("INSERT INTO schema_version VALUES (99, 'from the future', 0)");
  auto refused = open(sqlite_options());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("has format 99, written by a newer moth"),
            std::string::npos)
      << refused.error().message;
}

Result<> add_column(Database& database) {
  return database.exec("ALTER TABLE setting ADD COLUMN note TEXT");
}
Result<> fail_halfway(Database& database) {
  MOTH_TRY(database.exec("CREATE TABLE half (a)"));
  return database.exec("CREATE TABLE half (a)");
}

TEST_F(SqliteStoreTest, StepsRunOnceInOrderWithACopyBefore) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(loop.run(store->close()));
  store.reset();
  std::vector<Migration> steps(migrations().begin(), migrations().end());
  int next = steps.back().version + 1;
  steps.push_back({next, "a note", add_column});
  {
    auto database = *Database::open(file(kDatabaseFile));
    for (int i = 0; i < 2; ++i) {
      auto outcome = migrate(*database, steps);
      ASSERT_TRUE(outcome) << outcome.error().message;
    }
    EXPECT_EQ(*database->number("SELECT max(version) FROM schema_version"), next);
    EXPECT_EQ(*database->number("SELECT count(*) FROM object WHERE name = 'a'"), 1);

    steps.push_back({next + 1, "broken", fail_halfway});
    auto broken = migrate(*database, steps);
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().message.find("(broken)"), std::string::npos) << broken.error().message;
    EXPECT_EQ(*database->number("SELECT max(version) FROM schema_version"), next);
    EXPECT_EQ(*database->number("SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
  }
  // The copy that was made before the first step still opens with this release.
  std::string copy = file(kDatabaseFile) + ".v" + std::to_string(next - 1) + ".bak";
  std::filesystem::rename(copy, file(kDatabaseFile));
  ASSERT_TRUE(open(sqlite_options()));
  EXPECT_EQ(value_of("default", "a"), 0);
}

// Backups.

TEST_F(SqliteStoreTest, ABackupHoldsLazyWritesTooAndOpens) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(create("default", "a", 1));
  ASSERT_TRUE(update("default", "a", 2, Durability::kLazy));
  std::string copy = dir.path() + "/backup.db";
  auto done = loop.run(store->backup(copy));
  ASSERT_TRUE(done) << done.error().message;
  struct stat status {};
  ASSERT_EQ(::stat(copy.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  auto again = loop.run(store->backup(copy));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, Reason::kBadRequest);
  EXPECT_FALSE(loop.run(store->backup("/nonexistent/backup.db")));
  EXPECT_EQ(store->failure(), nullptr) << "a failed backup is no failure of the store";

  ASSERT_TRUE(update("default", "a", 3));
  std::uint64_t revision = store->revision();
  ASSERT_TRUE(loop.run(store->close()));
  store.reset();
  std::filesystem::copy_file(copy, file(kDatabaseFile),
                             std::filesystem::copy_options::overwrite_existing);
  ASSERT_TRUE(open(sqlite_options()));
  EXPECT_EQ(value_of("default", "a"), 2);
  EXPECT_GT(store->revision(), revision) << "clients have seen later revisions than the backup's";
}

// A full disk. A limit on the size of files acts on SQLite as a quota does.

class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, previous_);
  }

 private:
  rlimit old_{};
  void (*previous_)(int);
};

TEST_F(SqliteStoreTest, AFullDiskMakesItReadOnlyAndLosesNothing) {
  ASSERT_TRUE(open(sqlite_options()));
  int acknowledged = 0;
  {
    FileSizeLimit limit(1 << 20);
    Json pod = make_pod("default", "x");
    pod["spec"]["text"] = std::string(20'000, 'x');
    for (; acknowledged < 200; ++acknowledged) {
      pod["metadata"]["name"] = "p" + std::to_string(acknowledged);
      auto created = finish(store->stage_create(pods(), pod, Durability::kDurable));
      if (created) continue;
      EXPECT_EQ(created.error().reason, Reason::kServiceUnavailable);
      EXPECT_NE(created.error().message.find("the store is read-only: "), std::string::npos);
      EXPECT_NE(created.error().message.find("state.db"), std::string::npos)
          << created.error().message;
      break;
    }
    ASSERT_GT(acknowledged, 5);
    ASSERT_LT(acknowledged, 200);
    EXPECT_NE(store->failure(), nullptr);
    EXPECT_EQ(store->count(pods()), static_cast<std::size_t>(acknowledged));
    EXPECT_FALSE(create("default", "later"));
    EXPECT_FALSE(loop.run(store->close()));
    store.reset();
  }
  ASSERT_TRUE(open(sqlite_options()));
  EXPECT_GE(store->count(pods()), static_cast<std::size_t>(acknowledged));
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_NE(store->get(pods(), "default", "p" + std::to_string(i)), nullptr) << i;
  }
  EXPECT_TRUE(create("default", "later"));
}

TEST_F(SqliteStoreTest, AReadOnlyStoreCanStillBeBackedUp) {
  ASSERT_TRUE(open(sqlite_options()));
  ASSERT_TRUE(create("default", "a", 1));
  {
    FileSizeLimit limit(64 << 10);
    Json pod = make_pod("default", "big");
    pod["spec"]["text"] = std::string(200'000, 'x');
    ASSERT_FALSE(finish(store->stage_create(pods(), pod, Durability::kDurable)));
  }
  auto copied = loop.run(store->backup(dir.path() + "/rescue.db"));
  EXPECT_TRUE(copied) << copied.error().message;
}

}  // namespace
}  // namespace moth::store
