package Test::Idpay;

# The harness: simulators, secrets, a configuration, nginx, a raw client, and
# the checks that every test file ends with. Run with prove -I t/lib t/.
#
#   my $t = Test::Idpay->new;
#
# World
#   $t->dir  $t->write($name, $content)  $t->read($name)  $t->ca
#   $t->sim($provider, %opt)     starts a simulator, a Test::Idpay::Sim; tls
#                                (1), cert (good, expired, self_signed,
#                                other_name, unknown_ca), name, expect, limits
#                                (directives of %%UPSTREAM_name%%)
#   $t->secret($name)            path of a secret file, 0600, made when new
#   $t->secret($name, $prefix)   written (again): prefix and random hex
#   $t->secret($name, value => $exact)
#   $t->secret_value($name)      $t->canary($value) is looked for in logs too
# nginx
#   $t->config($text, %opt)      writes nginx.conf; these names: %%TESTDIR%%
#                                %%PORT_n%% %%CA%% %%SIM_name%% %%SECRET_name%%
#                                %%GLOBALS%% (required) %%EVENTS%% %%HTTP%%
#                                %%UPSTREAM_name%%: the whole block "upstream
#                                name" of that simulator, with keepalive, host
#                                and secrets: Test::Idpay::Upstream;
#                                %%UNLIMITED%% for blocks of one's own: the
#                                same; workers, master_process
#   $t->run  $t->try_run         the latter returns false instead of dying
#   $t->nginx_t                  (exit code, output) of nginx -t
#   $t->reload  $t->try_reload   until a new worker serves
#   $t->quit                     graceful; true when in time
#   $t->kill                     all processes, with SIGKILL; then ->run again
#   $t->master_pid  $t->worker_pids  $t->port(8080)
#   $t->instrumented             by a sanitizer or valgrind
#   $t->error_log  $t->access_log  $t->expect_log(qr//)
#   $t->expect_access_log(qr//)  $t->allow_log(qr//)
# Time
#   $t->measured($name, $code)   a subtest of what a busy machine can spoil:
#                                where it fails that is told and it is run
#                                again, up to four times in all, with nginx
#                                started anew and simulators without rules and
#                                records. A fault of the timing is there each
#                                time; what may be there once goes into
#   $t->certain($code)           whose checks are not made again
#   $t->lateness                 code that returns the seconds that a worker or
#                                a simulator has waited for a processor since,
#                                the most of any
# HTTP, to port 8080; options and answer: Test::Idpay::Client, ::Response
#   $t->http($method, $uri, %opt)  $t->get($uri, %opt)
#   $t->post($uri, $body, %opt)    $t->read_response($socket, $method, %opt)
#
# done_testing stops everything and adds three tests: that no log holds an
# alarm or a sanitizer's report, that no log holds a secret, and that every
# problem document fits t/problem.schema.json (Test::Idpay::Problem).
#
# Environment: TEST_NGINX_BINARY, IDPAY_MODULE (empty: built in),
# TEST_NGINX_LEAVE, TEST_NGINX_VERBOSE, TEST_NGINX_LOGLEVEL, TEST_NGINX_SLOW
# (factor on deadlines).

use strict;
use warnings;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use File::Path     qw(remove_tree);
use File::Temp     qw(tempdir);
use IO::Socket::IP;
use List::Util   qw(max);
use Scalar::Util qw(weaken);
use Socket       qw(SOL_SOCKET SO_REUSEADDR pack_sockaddr_in inet_aton
    unpack_sockaddr_in AF_INET SOCK_STREAM);
use Test2::API ();
use Test::More ();

use Test::Idpay::Cert;
use Test::Idpay::Client ();
use Test::Idpay::Logs qw(alarms sanitizer_reports forms_of leaks);
use Test::Idpay::Problem qw(unfit_problems);
use Test::Idpay::Process qw(wait_until);
use Test::Idpay::Sim;
use Test::Idpay::Upstream qw(unlimited upstream_block);

use constant {
    START_DEADLINE  => 30,
    RELOAD_DEADLINE => 30,
    QUIT_DEADLINE   => 30,
    LOG_DEADLINE    => 20,
};

# How often what depends on time is measured, at most.
use constant TRIES => 4;

# Of the problems that do not fit, this many are shown.
use constant SHOWN => 10;

my $root = abs_path(dirname(__FILE__) . '/../../..');

# What each simulator checks, and how its values begin.
my %credentials = (
    plusid         => ['plusid_api_key'],
    passportreader => [qw(passportreader_public_key passportreader_secret)],
    plasmapay      => ['plasmapay_api_key'],
    plaid          => [qw(plaid_client_id plaid_secret)],
    gopay          => [qw(gopay_client_id gopay_client_secret)],
    generic        => [],
);
my %prefix = (
    passportreader_public_key => 'public-key-',
    passportreader_secret     => 'secret-',
);

my @live;


sub new {
    my $class = shift;

    my $self = bless {
        dir    => tempdir('idpay-test-XXXXXXXX', TMPDIR => 1),
        owner  => $$,
        allow  => [],
        failed => [],
    }, $class;

    push @live, $self;
    weaken($live[-1]);

    $SIG{$_} ||= sub { exit 1 } for qw(INT TERM HUP PIPE);

    my $follower = $self;
    weaken($follower);
    Test2::API::test2_stack()->top->follow_up(sub {
        $follower->done if $follower && $follower->{owner} == $$;
    });

    Test::More::diag("test directory $self->{dir}")
        if $ENV{TEST_NGINX_VERBOSE} || $ENV{TEST_NGINX_LEAVE};

    return $self;
}


# World


sub dir { return $_[0]{dir} }
sub ca  { return $_[0]->_certs->ca }


sub _certs {
    my $self = shift;

    return $self->{certs} //= do {
        mkdir "$self->{dir}/certs" or die "certs: $!";
        Test::Idpay::Cert->new("$self->{dir}/certs");
    };
}


sub write {
    my ($self, $name, $content) = @_;

    my $path = "$self->{dir}/$name";
    open my $fh, '>:raw', $path or die "$path: $!";
    print {$fh} $content;
    close $fh or die "$path: $!";

    return $path;
}


sub read {
    my ($self, $name) = @_;

    open my $fh, '<:raw', "$self->{dir}/$name" or return '';
    local $/;
    return <$fh> // '';
}


sub _random_hex {
    open my $fh, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
    sysread $fh, my $bytes, 16;
    return unpack 'H*', $bytes;
}


# A file is replaced, not rewritten: a reader sees the old secret or the new.
sub secret {
    my ($self, $name, @how) = @_;

    my $path = "$self->{dir}/secret_$name";
    return $path if !@how && exists $self->{secrets}{$name};

    my $value
        = @how == 2
        ? $how[1]
        : ($how[0] // $prefix{$name} // '') . _random_hex();

    my $new = $self->write("secret_$name.new", $value);
    chmod 0600, $new;
    rename $new, $path or die "$path: $!";

    $self->{secrets}{$name} = $value;
    $self->canary($value);

    return $path;
}


sub secret_value {
    my ($self, $name) = @_;

    $self->secret($name);
    return $self->{secrets}{$name};
}


sub canary {
    my ($self, $value) = @_;

    $self->{canaries}{$_} = 1 for forms_of($value);
    return $value;
}


sub sim {
    my ($self, $provider, %opt) = @_;

    my $name  = $opt{name} // $provider;
    my $known = $credentials{$provider} or die "no simulator $provider\n";
    die "a simulator $name runs already\n" if $self->{sims}{$name};

    my $tls;
    if ($opt{tls} // 1) {
        my ($cert, $key) = $self->_certs->pair($opt{cert} // 'good');
        $tls = { cert => $cert, key => $key };
    }

    my %expect = map { $_ => $self->secret_value($_) } @$known;

    return $self->{sims}{$name} = Test::Idpay::Sim->start(
        provider => $provider,
        name     => $name,
        tls      => $tls,
        expect   => { %expect, %{ $opt{expect} // {} } },
        limits   => $opt{limits},
        output   => "$self->{dir}/sim_$name.out",
    );
}


# A port stays ours as long as a bound socket holds it; nginx may bind it
# beside us because neither of the two is listening with the other.
sub port {
    my ($self, $number) = @_;

    return $self->{ports}{$number}{port} //= do {
        socket my $socket, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
        setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1 or die "reuse: $!";
        bind $socket, pack_sockaddr_in(0, inet_aton('127.0.0.1'))
            or die "bind: $!";
        $self->{ports}{$number}{socket} = $socket;
        (unpack_sockaddr_in(getsockname $socket))[0];
    };
}


# nginx


sub binary {
    my ($binary) = grep { defined && -x }
        $ENV{TEST_NGINX_BINARY} || (),
        (map {"$_/nginx"} split /:/, $ENV{PATH} // ''),
        '/usr/sbin/nginx';

    return $binary // Test::More::BAIL_OUT(
        'no nginx found: run "make deps" or set TEST_NGINX_BINARY');
}


sub module {
    my $module = $ENV{IDPAY_MODULE}
        // "$root/build/ngx_http_idpay_module.so";

    Test::More::BAIL_OUT("$module is not there: run \"make\"")
        if length $module && !-f $module;
    return $module;
}


sub _globals {
    my ($self, %opt) = @_;

    my $module = module();
    my $level  = $ENV{TEST_NGINX_LOGLEVEL} // 'info';
    my @lines  = (
        length $module ? "load_module $module;" : (),

        # Workers of a root master must be able to read our directory.
        $> == 0 ? 'user root;' : (),
        "pid $self->{dir}/nginx.pid;",
        "error_log $self->{dir}/error.log $level;",
        'daemon off;',
        'master_process ' . ($self->{master} ? 'on' : 'off') . ';',
        'worker_processes ' . ($opt{workers} // 1) . ';',
    );
    return join "\n", @lines;
}


my $build;


sub _http {
    my $self = shift;

    $build //= do {
        my $binary = binary();
        qx{$binary -V 2>&1};
    };

    my @temp = ('client_body', 'proxy');
    for (qw(fastcgi uwsgi scgi)) {
        push @temp, $_ if $build !~ /--without-http_${_}_module/;
    }

    return join "\n    ",
        'log_format idpay_test \'$remote_addr "$request" $status '
        . '$body_bytes_sent upstream="$upstream_addr" '
        . 'upstream_status="$upstream_status" time=$request_time\';',
        "access_log $self->{dir}/access.log idpay_test;",
        map {"${_}_temp_path $self->{dir}/${_}_temp;"} @temp;
}


sub config {
    my ($self, $text, %opt) = @_;

    die "the configuration has no %%GLOBALS%%\n" if $text !~ /%%GLOBALS%%/;

    $self->{master} = ($opt{master_process} // 'on') ne 'off';

    my %fixed = (
        GLOBALS   => sub { $self->_globals(%opt) },
        EVENTS    => sub {'events { worker_connections 1024; }'},
        HTTP      => sub { $self->_http },
        TESTDIR   => sub { $self->{dir} },
        CA        => sub { $self->ca },
        UNLIMITED => \&unlimited,
    );
    my $sim = sub { $self->{sims}{ $_[0] } // die "no simulator $_[0] runs\n" };
    my $path_of = sub { $self->secret($_[0]) };
    my %named = (
        PORT     => sub { $self->port($_[0]) },
        SECRET   => $path_of,
        SIM      => sub { $sim->($_[0])->address },
        UPSTREAM => sub { upstream_block($sim->($_[0]), $path_of) },
    );

    $text =~ s{%%(\w+?)%%}{
        my $name = $1;
        my ($kind, $rest) = $name =~ /^(PORT|SECRET|SIM|UPSTREAM)_(\w+)$/;
        my $code = $kind ? $named{$kind} : $fixed{$name};
        die "no such name as %%$name%%\n" if !$code;
        $code->($rest);
    }gex;

    return $self->write('nginx.conf', $text);
}


sub _command {
    my $self = shift;
    return (binary(), '-p', "$self->{dir}/", '-c', "$self->{dir}/nginx.conf");
}


sub run {
    my $self = shift;

    $self->try_run
        or die "nginx did not start:\n", _tail($self->_log_text), "\n";
    return $self;
}


sub try_run {
    my $self = shift;

    die "nginx runs already\n" if $self->{nginx} && $self->{nginx}->alive;

    my $before = length $self->error_log;
    unlink "$self->{dir}/nginx.pid";

    $self->{nginx} = Test::Idpay::Process->start(
        command => [ $self->_command, '-e', "$self->{dir}/error.log" ],
        output  => "$self->{dir}/nginx.out",
    );

    # The title of a worker is set when it is ready to serve; the process ID
    # is written when the ports are open.
    my $ready = wait_until(START_DEADLINE, sub {
        return -1 if !$self->{nginx}->alive;
        return 0  if $self->read('nginx.pid') !~ /^\d+$/m;
        return $self->worker_pids || !$self->{master};
    });
    return 1 if $ready && $ready > 0;

    # Refusing to start is what a test may want; a crash never is.
    $self->_stop_nginx;
    $self->_forgive($before);
    return 0;
}


# Alarms from $from to the end of error.log are what a test wanted to see.
sub _forgive {
    my ($self, $from) = @_;

    push @{ $self->{forgiven} }, [ $from, length($self->error_log) - $from ];
    return;
}


sub nginx_t {
    my $self = shift;

    my $before  = length $self->error_log;
    my $skip    = length $self->read('nginx_t.out');
    my $process = Test::Idpay::Process->start(
        command => [ $self->_command, '-t', '-e', 'stderr' ],
        output  => "$self->{dir}/nginx_t.out",
    );

    wait_until(START_DEADLINE, sub { !$process->alive })
        or $process->stop(KILL => QUIT_DEADLINE);
    $self->_forgive($before);

    my $status = $process->status;
    my $code   = $status & 127 ? 128 + ($status & 127) : $status >> 8;
    return ($code, substr $self->read('nginx_t.out'), $skip);
}


sub master_pid {
    my $self = shift;
    return $self->{nginx} && $self->{nginx}->pid;
}


# Memory of an instrumented worker says nothing of the module's.
sub instrumented { return ($ENV{TEST_NGINX_BINARY} // '') =~ /asan|valgrind/ }


# Those that serve; not those that a reload or a quit is ending.
sub worker_pids {
    my $self = shift;

    my $master = $self->master_pid or return;
    return $master if !$self->{master};

    my @children = split ' ', _slurp("/proc/$master/task/$master/children");

    # Under an instrumenting wrapper there are no titles.
    my $titled = _slurp("/proc/$master/cmdline") =~ /^nginx: master/;
    return grep {
        my $title = _slurp("/proc/$_/cmdline");
        $titled
            ? $title =~ /^nginx: worker process/ && $title !~ /shutting down/
            : 1
    } @children;
}


sub _slurp {
    my $path = shift;

    open my $fh, '<:raw', $path or return '';
    local $/;
    return <$fh> // '';
}


sub reload {
    my $self = shift;

    $self->try_reload
        or die "nginx did not reload:\n", _tail($self->_log_text), "\n";
    return $self;
}


sub try_reload {
    my $self = shift;

    my %old    = map { $_ => 1 } $self->worker_pids;
    my $before = length $self->error_log;

    kill HUP => $self->master_pid;

    my $result = wait_until(RELOAD_DEADLINE, sub {
        my @now = $self->worker_pids;
        return 1  if @now && !grep { $old{$_} } @now;
        return -1 if alarms(substr $self->error_log, $before);
        return 0;
    });
    return 1 if $result && $result > 0;

    $self->_forgive($before);
    return 0;
}


sub quit {
    my $self = shift;
    return $self->_stop_nginx;
}


# All its processes at once, as a power failure would.
sub kill {
    my $self = shift;

    # a stopped master makes no worker in place of one that has just ended
    my $master = $self->master_pid;
    CORE::kill STOP => $master;

    my @pids = ($master,
        split ' ', _slurp("/proc/$master/task/$master/children"));
    CORE::kill KILL => @pids;

    my $nginx = delete $self->{nginx};
    $nginx->stop(KILL => QUIT_DEADLINE);
    wait_until(QUIT_DEADLINE, sub { !grep { -e "/proc/$_" } @pids })
        or die "nginx was killed and lives\n";
    return;
}


sub _stop_nginx {
    my $self = shift;

    my $nginx = delete $self->{nginx} or return 1;
    my $why
        = !$nginx->stop(QUIT => QUIT_DEADLINE)
        ? 'nginx did not quit in time and was killed'
        : ($nginx->status & 127) && 'nginx ended by a signal';

    push @{ $self->{failed} }, $why if $why;
    return !$why;
}


sub error_log  { return $_[0]->read('error.log') }
sub access_log { return $_[0]->read('access.log') }


sub _log_text {
    my $self = shift;
    return $self->error_log . $self->read('nginx.out');
}


sub _tail {
    my @lines = split /\n/, shift;
    return join "\n", @lines > 30 ? @lines[ -30 .. -1 ] : @lines;
}


sub expect_log {
    my ($self, $re, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return $self->_expect_line('error.log', $re, $name);
}


sub expect_access_log {
    my ($self, $re, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return $self->_expect_line('access.log', $re, $name);
}


sub _expect_line {
    my ($self, $file, $re, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $found = wait_until(LOG_DEADLINE, sub {
        scalar grep {/$re/} split /\n/, $self->read($file);
    });
    Test::More::ok($found, $name // "$file has a line $re")
        or Test::More::diag(_tail($self->read($file)));
    return $found;
}


sub allow_log {
    my ($self, $re) = @_;
    push @{ $self->{allow} }, $re;
    return $self;
}


# Time


sub measured {
    my ($self, $name, $code) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    for my $try (1 .. TRIES) {
        local $self->{wrong} = 0;
        my $died   = '';
        my $events = Test2::API::intercept(sub {
            eval { Test::More::subtest($name, $code); 1 } or $died = $@;
        });
        my @events = map { @{ $_->subevents } }
            grep { $_->isa('Test2::Event::Subtest') } @$events;
        my @failed = map { $_->name // '' }
            grep { $_->isa('Test2::Event::Ok') && $_->causes_fail } @events;

        return _tell_again($name, $died, @events)
            if $try == TRIES || $self->{wrong} || !@failed && !$died;

        Test::More::diag("measured again, $name: ",
            join '; ', @failed, $died || ());
        $self->_begin_anew;
    }
    return;
}


sub certain {
    my ($self, $code) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $hub    = Test2::API::test2_stack()->top;
    my $before = $hub->failed;
    $code->();
    $self->{wrong} = 1 if $hub->failed > $before;
    return;
}


sub lateness {
    my $self = shift;

    my $waited = sub {
        my %waited;
        for my $pid ($self->worker_pids,
            map { $_->pid } values %{ $self->{sims} // {} })
        {
            my (undef, $ns) = split ' ', _slurp("/proc/$pid/schedstat");
            $waited{$pid} = ($ns // 0) / 1e9;
        }
        return \%waited;
    };
    my $before = $waited->();

    return sub {
        my $now = $waited->();
        return max 0, map { $now->{$_} - ($before->{$_} // 0) } keys %$now;
    };
}


sub _tell_again {
    my ($name, $died, @events) = @_;

    return Test::More::subtest($name, sub {
        for (@events) {
            if ($_->isa('Test2::Event::Ok')) {
                Test::More::ok(!$_->causes_fail, $_->name);
            } elsif ($_->isa('Test2::Event::Diag')) {
                Test::More::diag($_->message);
            } elsif ($_->isa('Test2::Event::Note')) {
                Test::More::note($_->message);
            }
        }
        die $died if $died;
    });
}


sub _begin_anew {
    my $self = shift;

    my $running = $self->{nginx};
    $self->quit;
    $_->release->behave->clear for values %{ $self->{sims} // {} };
    $self->run if $running;
    return;
}


# HTTP


sub http {
    my ($self, $method, $uri, %opt) = @_;

    my $port = delete $opt{port} // 8080;
    $port = $self->{ports}{$port}{port} if exists $self->{ports}{$port};

    return Test::Idpay::Client::request($method, $uri, port => $port, %opt);
}


sub get {
    my ($self, $uri, %opt) = @_;
    return $self->http(GET => $uri, %opt);
}


sub post {
    my ($self, $uri, $body, %opt) = @_;
    return $self->http(POST => $uri, body => $body, %opt);
}


sub read_response {
    my ($self, $socket, $method, %opt) = @_;
    return Test::Idpay::Client::read_response($socket, $method, %opt);
}


# The end


sub done {
    my $self = shift;

    return if $self->{done}++;
    my $builder = Test::More->builder;

    $self->_stop_all;

    my @alarms = (@{ $self->{failed} }, $self->_alarms);
    $builder->ok(!@alarms, 'no alert, crit, emerg or sanitizer report')
        or $builder->diag(join "\n", @alarms);

    my @leaks = $self->_leaks;
    $builder->ok(!@leaks, 'no secret in any log')
        or $builder->diag(join "\n", @leaks);

    my @unfit = unfit_problems();
    $builder->ok(!@unfit, 'every problem fits the schema')
        or $builder->diag(join "\n", splice(@unfit, 0, SHOWN),
            @unfit ? scalar(@unfit) . ' more' : ());

    return !@alarms && !@leaks && !@unfit;
}


sub _stop_all {
    my $self = shift;

    return if $self->{stopped}++;

    $self->_stop_nginx;

    for my $sim (values %{ $self->{sims} // {} }) {
        $sim->stop
            or push @{ $self->{failed} }, 'simulator ' . $sim->name . ' hung';
    }
    return;
}


sub _alarms {
    my $self = shift;

    my $log = $self->error_log;
    my $out = $self->read('nginx.out');
    my @all = sanitizer_reports($log . $out . $self->read('nginx_t.out'));

    # Blanked from the end, so that earlier offsets stay true.
    for (sort { $b->[0] <=> $a->[0] } @{ $self->{forgiven} // [] }) {
        substr $log, $_->[0], $_->[1], '' if $_->[0] < length $log;
    }
    push @all, alarms($log);

    return grep {
        my $line = $_;
        !grep { $line =~ $_ } @{ $self->{allow} }
    } @all;
}


sub _leaks {
    my $self = shift;

    my @forms = keys %{ $self->{canaries} // {} };
    my @found;

    opendir my $dir, $self->{dir} or die "$self->{dir}: $!";
    for my $file (sort grep {/\.(?:log|out)$/ && !/^sim_/} readdir $dir) {

        # The number alone: the line would tell the secret again.
        push @found, map {"$file, line $_"} leaks($self->read($file), @forms);
    }
    return @found;
}


sub DESTROY {
    my $self = shift;

    return if $self->{owner} != $$;
    local ($@, $?, $!);

    $self->{done}++;
    $self->_stop_all;
    if (!$ENV{TEST_NGINX_LEAVE}) {
        remove_tree($self->{dir});
    }
    return;
}


# A test that died, or ended without done_testing, leaves nothing running.
END {
    my $code = $?;

    # Nobody may be reading any more, and all is to be stopped even so.
    $SIG{PIPE} = 'IGNORE';

    for my $t (grep { $_ && $_->{owner} == $$ } @live) {
        if ($code && !$t->{done}) {
            Test::More::diag(_tail($t->_log_text));
        }
        $t->DESTROY;
    }
    $? = $code;
}


1;
