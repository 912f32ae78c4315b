#!/usr/bin/env perl

# What the gateway's tokens cost. A call with a token that is there, beside
# plain proxy_pass with the same one; and callers who all come at once when
# there is none yet, beside those who come when it is there. A report in
# Markdown on stdout.
#
# BENCH_SECONDS    length of a round of calls (4)
# BENCH_ROUNDS     rounds of each way (7)
# BENCH_CALLERS    callers at once (1000)
# BENCH_STORMS     how often they come, each way (7)
# BENCH_TOKEN_MS   what the token endpoint takes for its answer (200)
# BENCH_NGINX, BENCH_MODULE   as for run.pl

use strict;
use warnings;

use EV;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../lib";
use Bench;
use List::Util qw(max);
use Socket     qw(AF_INET INADDR_LOOPBACK IPPROTO_TCP SOCK_STREAM TCP_NODELAY
    pack_sockaddr_in);
use Test::Idpay;
use Test::Idpay::Gopay qw(token_requests forget_requests prefill $prefill);
use Test::Idpay::Process qw(wait_until);
use Time::HiRes qw(time);

# A round must not end with the 60 s that no token lives less than.
my $seconds  = $ENV{BENCH_SECONDS}  || 4;
my $rounds   = $ENV{BENCH_ROUNDS}   || 7;
my $callers  = $ENV{BENCH_CALLERS}  || 1000;
my $storms   = $ENV{BENCH_STORMS}   || 7;
my $token_ms = $ENV{BENCH_TOKEN_MS} || 200;

use constant WORKERS => 4;

my $login = '/v1/auth/login/app';

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay');
$sim->record(0);


# The provider's calls are answered by an nginx of its own, so that it can be
# as fast as the gateway; tokens are the simulator's. With "plain" the token is
# written into the configuration. With "tls" off a thousand handshakes at once
# are not what is measured.
sub serve {
    my ($workers, $tls, $plain) = @_;

    $plain //= 'none';
    my $port = $tls eq 'on' ? 2 : 3;

    $t->quit;
    $t->config(<<"CONF", workers => $workers);
%%GLOBALS%%
events { worker_connections 8192; }
http {
    %%HTTP%%
    access_log off;
    keepalive_requests 100000000;
    idpay_trusted_certificate %%CA%%;

    upstream gateway {
        server          127.0.0.1:%%PORT_$port%%;
        keepalive       64;
        keepalive_requests 100000000;
        idpay_provider  gopay;
        idpay_tls       $tls;
        idpay_host      gopay.test;
        idpay_secret    client_id     file:%%SECRET_gopay_client_id%%;
        idpay_secret    client_secret file:%%SECRET_gopay_client_secret%%;
        idpay_rate      1000000r/s burst=100000;
    }
    upstream plain {
        server          127.0.0.1:%%PORT_2%%;
        keepalive       64;
        keepalive_requests 100000000;
    }
    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport backlog=8192;

        location / { idpay_pass gateway; }
        location /plain/ {
            proxy_pass https://plain/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host gopay.test;
            proxy_set_header Authorization "Bearer $plain";
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate %%CA%%;
            proxy_ssl_server_name on;
            proxy_ssl_name gopay.test;
        }
        location /stat { stub_status; }
    }
}
CONF
    $t->run;
    return;
}


# An nginx in front of the simulator, which answers what is no token request.
sub provider {
    my ($cert, $key) = $t->_certs->pair('good');
    my ($tls_port, $port, $address) = ($t->port(2), $t->port(3), $sim->address);
    my $dir = $t->dir . '/provider';
    mkdir $dir or die "$dir: $!";

    my $temp = join '', map {"    ${_}_temp_path $dir/$_;\n"}
        qw(client_body proxy fastcgi uwsgi scgi);
    my $user = $> == 0 ? 'user root;' : '';
    $t->write('provider/nginx.conf', <<"CONF");
daemon off;
$user
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 8192; }
http {
$temp
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 1h;
    server {
        listen 127.0.0.1:$tls_port ssl backlog=8192;
        listen 127.0.0.1:$port backlog=8192;
        ssl_certificate $cert;
        ssl_certificate_key $key;
        location = $login {
            proxy_pass https://$address;
            proxy_set_header Host gopay.test;
        }
        location / {
            default_type application/json;
            if (\$http_authorization !~ "^Bearer [!-~]+\$") { return 403; }
            return 200 '{"prefillId":"0123456789abcdef"}';
        }
    }
}
CONF
    my $process = Test::Idpay::Process->start(
        command => [ $t->binary, '-p', $dir, '-c', "$dir/nginx.conf", '-e',
            "$dir/error.log" ],
        output => "$dir/out",
    );
    wait_until(20, sub { $t->read('provider/nginx.pid') =~ /\d/ })
        or die "the provider did not start:\n", $t->read('provider/out');
    return $process;
}


sub median { return quantile(0.5, @_) }


sub quantile {
    my ($q, @v) = @_;

    @v = sort { $a <=> $b } @v;
    my $at = $q * $#v;
    my $i  = int $at;
    return $i == $#v ? $v[$i] : $v[$i] + ($at - $i) * ($v[ $i + 1 ] - $v[$i]);
}


sub spread {
    my ($format, @v) = @_;
    return sprintf "$format ($format–$format)",
        map { quantile($_, @v) } 0.5, 0.25, 0.75;
}


# CPU of the gateway's workers, ns.
sub cpu {
    my $sum = 0;
    for my $pid ($t->worker_pids) {
        open my $fh, '<', "/proc/$pid/schedstat" or die "worker $pid: $!";
        my ($ns) = split ' ', <$fh>;
        $sum += $ns;
    }
    return $sum;
}


# A round of wrk: us of CPU for each call.
sub round_of {
    my ($uri, $connections, $time) = @_;

    my $cpu  = cpu();
    my $port = $t->port(8080);
    my $out  = qx{wrk -t1 -c$connections -d${time}s http://127.0.0.1:$port$uri};
    $cpu = cpu() - $cpu;

    my ($n) = $out =~ /(\d+) requests in/ or die "wrk: $out\n";
    die "$uri: $out\n" if $out =~ /Non-2xx|Socket errors/;
    return $cpu / 1000 / $n;
}


# Rounds of the two ways, alternating.
sub calls {
    my $connections = shift;

    my %uri = (idpay => $prefill, plain => "/plain$prefill");
    my (%cpu, @ratio);
    round_of($_, $connections, 1) for values %uri;
    for my $n (1 .. $rounds) {
        my @ways = $n % 2 ? qw(plain idpay) : qw(idpay plain);
        push @{ $cpu{$_} }, round_of($uri{$_}, $connections, $seconds)
            for @ways;
        push @ratio, $cpu{idpay}[-1] / $cpu{plain}[-1];
        print STDERR '.';
    }
    return (
        [ $connections, 'proxy_pass', spread('%.1f', @{ $cpu{plain} }), '' ],
        [ $connections, 'idpay_pass', spread('%.1f', @{ $cpu{idpay} }),
            spread('%.3f', @ratio) ],
    );
}


# All callers are connected before the first call is sent, then each sends his.
# Returns the seconds until the last one is answered, and how many had a 200.
sub storm {
    my $call = join "\r\n", "GET $prefill HTTP/1.1", 'Host: localhost', '', '';
    my ($good, $left) = (0, $callers);
    my (@fh, @io, %wrong);

    for (1 .. $callers) {
        socket my $fh, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
        connect $fh, pack_sockaddr_in($t->port(8080), INADDR_LOOPBACK)
            or die "connect: $!";
        setsockopt $fh, IPPROTO_TCP, TCP_NODELAY, 1;
        $fh->blocking(0);
        push @fh, $fh;
    }
    wait_until(20, sub {
        $t->get('/stat')->body =~ /^Active connections: (\d+)/
            && $1 > $callers;
    }) or die "not all callers are connected\n";

    my $since = time;
    for my $fh (@fh) {
        push @io, EV::io $fh, EV::READ, sub {
            my ($io) = @_;
            sysread $fh, my $bytes, 65_536;
            ($bytes // '') =~ m{^HTTP/1.1 200 }
                ? $good++
                : $wrong{ substr $bytes // 'nothing', 0, 12 }++;
            $io->stop;
            EV::break if --$left == 0;
        };
        syswrite $fh, $call;
    }
    my $limit = EV::timer 60, 0, sub { EV::break };
    EV::run;
    my $took = time - $since;

    print STDERR "\n$wrong{$_} answers: $_\n", $t->error_log =~ /.*\[error\].*/g
        for keys %wrong;
    return ($took, $good);
}


# One storm without a token and one with it; the first calls of each worker,
# which open its connections, are made in either. Of the former the round trip
# of the token is taken off, as the simulator has seen it.
sub storms {
    my $tls = shift;

    my (@without, @with, @added, @most, $worst);

    for (1 .. $storms) {
        serve(WORKERS, $tls);
        forget_requests($sim);
        $sim->behave->misbehave(match => $login, delay_ms => $token_ms,
            acted => 1);
        my ($took, $good) = storm();
        my @tokens = @{ $sim->act(do => 'report')->{requests} };
        my $trip = $tokens[0]{ended} - $tokens[0]{began};

        serve(WORKERS, $tls);
        $sim->behave;
        prefill($t);
        my ($took_with, $good_with) = storm();

        push @without, $took * 1000;
        push @with,    $took_with * 1000;
        push @added,   ($took - $trip - $took_with) * 1000;
        push @most,    scalar @tokens;
        $worst = $good if !defined $worst || $good < $worst;
        $worst = $good_with if $good_with < $worst;
        print STDERR '.';
    }
    return [ $callers, $tls, max(@most), $worst, spread('%.0f', @without),
        spread('%.0f', @with), spread('%.0f', @added) ];
}


my $provider = provider();

serve(1, 'on');
prefill($t);
my ($issued) = grep { $_->{kind} eq 'application' }
    reverse @{ $sim->act(do => 'issued') };
serve(1, 'on', $issued->{token});
prefill($t);
my @calls = map { calls($_) } 1, 32;
my @storm = map { storms($_) } qw(off on);
$provider->stop(QUIT => 20);

print STDERR "\n";
head('Tokens',
    machine() . ', a TLS provider on the same machine.',
    'Medians; quartiles in brackets.');
print "\n## A call with a token that is there, one worker\n\n",
    "$rounds rounds of $seconds s each way, alternating; the same token is "
    . "written into the\nconfiguration of plain proxy_pass.\n";
table([ 'connections', 'way', 'CPU, us per call', 'ratio' ], @calls);
print "\n## All callers at once, ", WORKERS, " workers\n\n",
    "Connected callers, one call each. The token endpoint takes $token_ms ms. "
    . "Added: the time until\nthe last answer without a token, less the round "
    . "trip of the token, less the same with one;\nto be 20 ms at most.\n";
table(
    [   'callers', 'TLS', 'token requests, most', '200, least',
        'without a token, ms', 'with it, ms', 'added, ms'
    ],
    @storm
);
