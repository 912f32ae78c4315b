#!/usr/bin/perl

# What the gateway costs beside plain proxy_pass: worker CPU per request,
# latency, provider connections.  One TLS provider (an nginx of its own), one
# gateway with one worker and a location for each way, wrk as the callers.
# Rounds of the two alternate, so that a machine that grows slower does not
# favour one of them.  The gateway has a limit, far above the load, beside the
# breaker, the retries and the learning that are on by default.  Where the
# provider fails every call, retries and breaker are off, lest they spare it
# calls or add some: what is measured is that an error becomes a problem.  A
# report in Markdown on stdout.
#
# BENCH_SECONDS  length of a round (4)
# BENCH_ROUNDS   rounds of each way in each row (7)
# BENCH_ROWS     only rows with a name that matches this pattern, "^Error"
# BENCH_NGINX    the nginx binary; it is the gateway and the provider
# BENCH_MODULE   the module to load; empty where the binary has it inside
# BENCH_SELF     1 measures plain proxy_pass against itself: the noise

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::SSL::Utils;
use POSIX qw(strftime);
use Time::HiRes qw(sleep time);

my $top = abs_path(dirname(__FILE__) . '/../..');
$ENV{PATH} .= ':/usr/sbin:/sbin';

my $seconds = int($ENV{BENCH_SECONDS} || 4) || 1;
my $rounds = int($ENV{BENCH_ROUNDS} || 7) || 1;
my $nginx = $ENV{BENCH_NGINX} || 'nginx';
my $module = $ENV{BENCH_MODULE} // "$top/build/ngx_http_idpay_module.so";

my $dir = tempdir('idpay-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;              # a worker is not the user who starts it

my $starter = $$;              # END blocks run in forked children too
my @started;                   # pids of nginx masters and of a running wrk
my @ways = qw(plain idpay);

$SIG{$_} = sub { exit 1 } for qw(HUP INT TERM PIPE);

END {
    if ($$ == $starter) {
        my $status = $?;
        stop($_) for @started;
        $? = $status;
    }
}


sub stop {
    my ($pid) = @_;

    kill 'TERM', $pid or return;
    my $deadline = time + 10;

    while (waitpid($pid, 1) == 0) {
        kill 'KILL', $pid if time > $deadline;
        sleep 0.02;
    }
}


sub start {
    my ($name, @command) = @_;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', "$dir/$name.out" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    push @started, $pid;
    return $pid;
}


sub finish {
    my ($pid) = @_;

    waitpid $pid, 0;
    @started = grep { $_ != $pid } @started;
    return $?;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    local $/;
    return scalar <$fh>;
}


sub spew {
    my ($name, $text) = @_;

    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!\n";
    print $fh $text;
    close $fh or die "$dir/$name: $!\n";
    return "$dir/$name";
}


# All ports are held at once and then let go, so that none comes twice.

sub free_ports {
    my ($n) = @_;

    my @sockets = map {
        IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
            // die "no free port: $!\n"
    } 1 .. $n;

    return map { $_->sockport } @sockets;
}


sub wait_for_port {
    my ($port, $pid, $name) = @_;

    my $deadline = time + 10;

    until (IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")) {
        die "$name did not start:\n", slurp("$dir/$name.out"),
            -e "$dir/$name.log" ? slurp("$dir/$name.log") : '', "\n"
            if time > $deadline || waitpid($pid, 1) != 0;
        sleep 0.02;
    }
}


sub get {
    my ($port, $path) = @_;

    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 10)
            or die "connect: $!\n";
    print $s "GET $path HTTP/1.0\r\nHost: bench\r\n\r\n";
    local $/;
    my ($head, $body) = split /\r\n\r\n/, <$s> // '', 2;
    return ($head =~ m{^HTTP/\S+ (\d+)} ? $1 : 0, $body // '');
}


# -- certificates, secret, answers ------------------------------------------

my ($ca, $ca_key) = CERT_create(CA => 1, subject => { CN => 'bench CA' });
my ($cert, $key) = CERT_create(
    subject => { CN => 'provider.test' },
    subjectAltNames => [ [ DNS => 'provider.test' ] ],
    issuer => [ $ca, $ca_key ],
    purpose => 'server',
);

PEM_cert2file($ca, "$dir/ca.pem");
PEM_cert2file($cert, "$dir/cert.pem");
PEM_key2file($key, "$dir/key.pem");

my $secret = 'bench-' . join '', map { sprintf '%02x', rand 256 } 1 .. 16;
chmod 0640, spew('api_key', $secret), spew('client_id', 'bench-client');

mkdir "$dir/html" or die $!;
spew('html/1m', 'x' x 1048576);

my $json = sprintf '{"id":"chk_1","status":"verified","note":"%s"}', 'n' x 250;

# the provider's two ways to fail, as Plaid does

my %errors = (
    404 => plaid_error('NOT_FOUND', 'INVALID_REQUEST',
                       'the requested resource was not found'),
    500 => plaid_error('INTERNAL_SERVER_ERROR', 'API_ERROR',
                       'an unexpected error occurred'),
);

my $post = spew('post.lua', sprintf <<'END', 'd' x 1012);
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"data":"%s"}'
END

my ($tls_port, $stat_port, $port) = free_ports(3);


sub plaid_error {
    my ($code, $type, $message) = @_;

    return qq({"display_message":null,"documentation_url":)
           . qq("https://plaid.com/docs/?ref=error#errors","error_code":)
           . qq("$code","error_message":"$message","error_type":"$type",)
           . qq("request_id":"HNTDNrA8F1shFEW","suggested_action":null});
}


# -- the two servers ---------------------------------------------------------

my $common = <<END;
daemon off;
worker_processes 1;
events { worker_connections 1024; }
END

my $temp = join '', map { "    ${_}_temp_path $dir/$_;\n" }
           qw(client_body proxy fastcgi uwsgi scgi);

my $failing = join '', map { <<END } sort keys %errors;

        location = /identity_verification/$_ {
            default_type application/json;
            if (\$http_plaid_secret != "$secret") { return 401; }
            return $_ '$errors{$_}';
        }
END

my $provider_conf = spew('provider.conf', <<END);
$common
pid $dir/provider.pid;
error_log $dir/provider.log;

http {
$temp
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 1h;

    server {
        listen 127.0.0.1:$tls_port ssl;
        ssl_certificate $dir/cert.pem;
        ssl_certificate_key $dir/key.pem;
        root $dir/html;

        location = /1m { if (\$http_x_api_key != "$secret") { return 401; } }

        location / {
            default_type application/json;
            if (\$http_x_api_key != "$secret") { return 401; }
            return 200 '$json';
        }
$failing    }

    server {
        listen 127.0.0.1:$stat_port;
        location = /stat { stub_status; }
    }
}
END

my $self = $ENV{BENCH_SELF};
my $keepalive = "keepalive 32; keepalive_requests 100000000; "
                . "keepalive_timeout 1h;";
my $plain_upstream = "server 127.0.0.1:$tls_port; $keepalive";
my $plain = <<END;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host provider.test;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate $dir/ca.pem;
            proxy_ssl_server_name on;
            proxy_ssl_name provider.test;
END

my %headers = (
    calls  => qq(            proxy_set_header X-API-Key "$secret";),
    errors => join("\n", map { "            proxy_set_header $_;" }
                         'PLAID-CLIENT-ID bench-client',
                         qq(PLAID-SECRET "$secret"),
                         'Plaid-Version 2020-09-14'),
);

my $idpay_upstream = <<END;

        server 127.0.0.1:$tls_port;
        $keepalive
        idpay_host provider.test;
        idpay_trusted_certificate $dir/ca.pem;
        idpay_rate 100000r/s burst=1000;
END

my %upstream = $self ? map { $_ => $plain_upstream } qw(calls errors) : (
    calls => <<END,
        idpay_provider plusid;$idpay_upstream
        idpay_secret api_key file:$dir/api_key;
END
    errors => <<END,
        idpay_provider plaid;$idpay_upstream
        idpay_secret client_id file:$dir/client_id;
        idpay_secret secret file:$dir/api_key;
        idpay_retry off;
        idpay_breaker off;
END
);


sub pass {
    my ($kind, $uri) = @_;

    return "idpay_pass idpay-$kind$uri;" if !$self;
    return "proxy_pass https://idpay-$kind$uri;\n$plain$headers{$kind}";
}

my ($pass_calls, $pass_errors) = (pass('calls', '/'),
                                  pass('errors', '/identity_verification/'));
my $load = $module eq '' || $self ? '' : "load_module $module;";

my $gateway_conf = spew('gateway.conf', <<END);
$load
$common
pid $dir/gateway.pid;
error_log $dir/gateway.log;

http {
$temp
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 1h;

    upstream plain { $plain_upstream }
    upstream idpay-calls { $upstream{calls} }
    upstream idpay-errors { $upstream{errors} }

    server {
        listen 127.0.0.1:$port;

        location /plain/ {
            proxy_pass https://plain/;
$plain$headers{calls}
        }

        location /plain/errors/ {
            proxy_pass https://plain/identity_verification/;
$plain$headers{errors}
        }

        location /idpay/ {
            $pass_calls
        }

        location /idpay/errors/ {
            $pass_errors
        }
    }
}
END

my ($nginx_path) = grep { -x } $nginx =~ m{/} ? abs_path($nginx)
                   : map { "$_/$nginx" } split /:/, $ENV{PATH};
die "$nginx: not found\n" if !defined $nginx_path;

for ([ 'provider', $provider_conf, $tls_port ],
     [ 'gateway', $gateway_conf, $port ])
{
    my ($name, $conf, $listen) = @$_;

    my $pid = start($name, $nginx_path, '-p', $dir, '-c', $conf,
                    '-e', "$dir/$name.log");
    wait_for_port($listen, $pid, $name);
}

my $worker = worker_of(slurp("$dir/gateway.pid") + 0);


sub worker_of {
    my ($master) = @_;

    my $deadline = time + 10;

    while (time < $deadline) {
        my ($pid) = split ' ', slurp("/proc/$master/task/$master/children");
        return $pid if $pid;
        sleep 0.02;
    }

    die "the gateway has no worker\n";
}


# -- measuring ---------------------------------------------------------------

# CPU of the worker in nanoseconds: schedstat is exact, stat counts ticks

sub cpu {
    if (open my $fh, '<', "/proc/$worker/schedstat") {
        my ($ns) = split ' ', <$fh>;
        return $ns if $ns;
    }

    my @f = split ' ', slurp("/proc/$worker/stat") =~ s/^.*\) //sr;
    return ($f[11] + $f[12]) * 1e9 / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}


sub rss {
    return slurp("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}


sub accepted {
    my ($status, $body) = get($stat_port, '/stat');
    return $body =~ /^\s*(\d+) \d+ \d+\s*$/m ? $1 : die "no stub_status\n";
}


sub milliseconds {
    my ($n, $unit) = @_;
    return $n * { us => 0.001, ms => 1, s => 1000, m => 60000 }->{$unit};
}


# One round: what it cost in us of CPU for each request, and its latencies.

sub one_round {
    my ($way, $row, $time) = @_;

    my ($cpu, $accepted) = (cpu(), accepted());

    my $pid = start('wrk', 'wrk', '-t1', "-c$row->{connections}",
                    "-d${time}s", '--latency', @{ $row->{options} },
                    "http://127.0.0.1:$port/$way$row->{path}");
    my $failed = finish($pid);
    my $out = slurp("$dir/wrk.out");

    $cpu = cpu() - $cpu;

    die "wrk: $out\n" if $failed;
    my ($n) = $out =~ /(\d+) requests in/ or die "wrk: $out\n";
    my $failures = $out =~ /Non-2xx or 3xx responses: (\d+)/ ? $1 : 0;

    die "$way: calls ", $row->{fails} ? 'passed' : 'failed', ":\n$out",
        slurp("$dir/gateway.log"), "\n"
        if $failures != ($row->{fails} ? $n : 0) || $out =~ /Socket errors/;

    my %result = (requests => $n, cpu => $cpu / 1000 / ($n || 1),
                  opened => accepted() - $accepted - 1);

    for my $p (50, 99) {
        $out =~ /^\s+$p%\s+([\d.]+)(us|ms|s|m)\s*$/m or die "wrk: $out\n";
        $result{"p$p"} = milliseconds($1, $2);
    }

    return \%result;
}


sub quantile {
    my ($q, @v) = @_;

    @v = sort { $a <=> $b } @v;
    my $at = $q * $#v;
    my $i = int $at;
    return $v[$i] if $i == $#v;
    return $v[$i] + ($at - $i) * ($v[$i + 1] - $v[$i]);
}


sub spread {
    my ($format, @v) = @_;

    return sprintf "$format ($format–$format)",
                   map { quantile($_, @v) } 0.5, 0.25, 0.75;
}


# What is measured, and what each way answers to the caller.  An error row
# fails with the first status by plain proxy_pass and is mapped to the other.

my %row = (
    connections => 1,
    options     => [],
    plain       => 200,
    idpay       => 200,
);

my @calls = map {
    my ($name, $path, @options) = @$_;
    map { { %row, name => "$name, $_", path => $path, options => \@options,
            connections => $_ } } 1, 32
} [ 'small GET', '/v1/checks' ],
  [ 'POST 1 KB', '/v1/checks', '-s', $post ],
  [ '1 MB answer', '/1m' ];

my @failed = map {
    my ($status, $mapped) = @$_;
    map { { %row, name => "Error $status, $_", path => "/errors/$status",
            connections => $_, fails => 1, plain => $status,
            idpay => $self ? $status : $mapped } } 1, 32
} [ 404, 404 ], [ 500, 502 ];

my $wanted = $ENV{BENCH_ROWS} // '';
@$_ = grep { $_->{name} =~ /$wanted/ } @$_ for \@calls, \@failed;
die "BENCH_ROWS: no row is called so\n" if !@calls && !@failed;

for my $row (@calls, @failed) {
    for my $way (@ways) {
        my ($status, $body) = get($port, "/$way$row->{path}");
        die "$way$row->{path}: status $status\n$body",
            slurp("$dir/gateway.log"), "\n"
            if $status != $row->{$way};
    }
}

# The first calls fill caches, pools and keep-alive connections.

for my $row (@calls ? $calls[0] : (), @failed ? $failed[0] : ()) {
    one_round($_, { %$row, connections => 32 }, 1) for @ways;
}

my $rss = rss();


# The table of some rows, and the median of their ratios.

sub measure {
    my @rows = @_;

    my (@table, @ratios);

    for my $row (@rows) {
        my (%got, @order);

        for my $i (1 .. $rounds) {
            @order = $i % 2 ? @ways : reverse @ways;
            push @{ $got{$_} }, one_round($_, $row, $seconds) for @order;
            print STDERR '.';
        }

        my $of = sub { my ($way, $what) = @_;
                       return map { $_->{$what} } @{ $got{$way} } };
        my @plain = $of->('plain', 'cpu');
        my @idpay = $of->('idpay', 'cpu');
        my @ratio = map { $idpay[$_] / $plain[$_] } 0 .. $#plain;

        push @ratios, quantile(0.5, @ratio);

        for my $way (@ways) {
            my ($n, $opened) = (0, 0);
            $n += $_ for $of->($way, 'requests');
            $opened += $_ for $of->($way, 'opened');

            push @table,
                sprintf '| %s | %s | %s | %s | %.2f | %.2f | %d | %d |',
                $row->{name}, $way, spread('%.1f', $of->($way, 'cpu')),
                $way eq 'idpay' ? spread('%.3f', @ratio) : '',
                quantile(0.5, $of->($way, 'p50')),
                quantile(0.5, $of->($way, 'p99')), $n, $opened;
        }
    }

    return join('', map { "$_\n" }
                '| calls, connections | way | CPU, us per request | ratio '
                . '| p50, ms | p99, ms | requests '
                . '| provider connections opened |',
                '| --- | --- | --- | --- | --- | --- | --- | --- |', @table,
                '')
           . sprintf "Median ratio of CPU per request over all rows: %.3f",
                     quantile(0.5, @ratios);
}


my @report;

push @report, measure(@calls), ".\n\n" if @calls;
push @report, "## A provider that fails every call\n\n",
              "The gateway makes a problem of each error. Its retries and ",
              "its breaker are off.\n\n",
              measure(@failed), ", to be 1.35 at most.\n\n" if @failed;

print STDERR "\n";

my ($version) = `$nginx_path -v 2>&1` =~ m{(nginx/\S+)};
my ($model) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.+)$/m;

print "# The gateway beside plain proxy_pass\n\n",
      strftime('%Y-%m-%d', gmtime), ", $version, ", $model // 'unknown CPU',
      ", one worker, a TLS provider on the same machine.\n",
      "$rounds rounds of $seconds s each way and row, alternating. ",
      "Medians; quartiles in brackets.\n",
      "The ratio is that of the two rounds of a pair.\n",
      $self ? "Plain proxy_pass against itself: this is the noise.\n" : '',
      "\n",
      @report,
      sprintf("Worker memory (RSS): %d KB before, %d KB after.\n",
              $rss, rss());
