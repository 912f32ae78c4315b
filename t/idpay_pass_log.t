# The access log tells of a call what it tells with proxy_pass.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Pass qw(servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');
$t->secret('key');
$t->port('closed');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / { idpay_pass gate; proxy_read_timeout 300ms; }
        location /problem/ { idpay_errors on; idpay_pass gate; }
        location /two/ { idpay_pass two; }
        location /none/ { idpay_pass none; }
CONF

my %servers = (
    two  => 'server 127.0.0.1:%%PORT_closed%%; server %%SIM_gate%%;',
    none => 'server 127.0.0.1:%%PORT_closed%%;'
        . 'server 127.0.0.2:%%PORT_closed%%;',
);
my $upstreams = join '', map { <<"CONF" } sort keys %servers;
    upstream $_ {
        $servers{$_}
        idpay_provider  generic;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_host      generic.test;
        idpay_retry     tries=2 base=10ms;
        idpay_breaker   off;
    }
    upstream plain_$_ { $servers{$_} }
CONF

# $upstream_bytes_sent counts the credential too: its length is looked at
# apart. Times are 0.000 or more: their form is compared.
$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format all '\$request|\$status|\$body_bytes_sent|\$upstream_addr|'
        '\$upstream_status|\$upstream_response_length|'
        '\$upstream_bytes_received|\$upstream_cache_status|'
        '\$upstream_http_x_foo|\$upstream_cookie_c|\$sent_http_x_foo|'
        '\$upstream_trailer_t|\$request_completion|\$request_length|'
        '\$upstream_response_time|\$upstream_header_time|'
        '\$upstream_connect_time|\$upstream_bytes_sent';
    access_log %%TESTDIR%%/all.log all;

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

$upstreams

    idpay_trusted_certificate %%CA%%;
    idpay_errors off;

$servers
}
CONF

$t->run;

my $seen = 0;


sub next_line {
    my @lines;
    wait_until(20, sub {
        @lines = $t->read('all.log') =~ /^(.*)\n/mg;
        return @lines > $seen;
    });
    $seen = @lines;
    return $lines[-1];
}


# The same line; times by their form; what was sent, longer by the credential.
sub both {
    my ($name, $rule, $method, $uri, %opt) = @_;

    my $own   = delete $opt{own};
    my @lines = map {
        $sim->behave->misbehave(times => -1, %$rule) if $rule;
        $t->http($method, $uri, %opt, port => $_);
        [ split /\|/, next_line() ];
    } 8080, 8081;

    my @sent = map { pop @$_ } @lines;
    for my $line (@lines) {
        s/\d+\.\d{3}/0.000/g for @$line[ -3 .. -1 ];

        # a problem is the gateway's own answer, and so is its header
        @$line[ 1, 2, 10 ] = () if $own;
    }
    is_deeply $lines[0], $lines[1], "$name: the same line";

    # only the attempts that got as far as to be sent
    my $more = length "X-Key: \r\n" . $t->secret_value('key');
    $sent[1] =~ s/(\d+)/$1 ? $1 + $more : 0/ge;
    is $sent[0], $sent[1], "$name: the bytes sent";
    return;
}


my %foo = (headers => [ [ 'X-Foo', 'bar' ], [ 'Set-Other', 'c=1' ] ]);

both('GET', {%foo}, GET => '/a?b=c');
$sim->behave;
both('HEAD', undef, HEAD => '/__bytes/100');
both('POST', {%foo}, POST => '/a', body => 'x' x 50_000);
both('chunked', { %foo, chunked => 1, body => 'x' x 500 }, GET => '/a');
$sim->behave;
both('big', undef, GET => '/__bytes/1000000');
$sim->behave;
both('304', undef, GET => '/__bytes/9',
    headers => [ [ 'If-None-Match', '"bytes-9"' ] ]);
both('404', { %foo, status => 404, body => 'x' x 20_000 }, GET => '/a');
both('500', { %foo, status => 500, body => 'x' }, POST => '/a', body => 'y');
both('204', { status => 204 }, GET => '/a');
both("$_, a problem", { %foo, status => $_, body => 'x' x 2000 },
    GET => '/problem/', own => 1) for 404, 500;
both('HEAD, a problem', { %foo, status => 404, body => 'x' x 2000 },
    HEAD => '/problem/', own => 1);

$sim->behave;
both('second', undef, POST => '/two/', body => 'abc');
both('half', { truncate => 'mid_body', body => 'x' x 1000, %foo },
    GET => '/a');

both('no answer', { close => 'no_answer' }, POST => '/a', body => 'x',
    own => 1);
both('silent', { delay_ms => 60_000 }, POST => '/a', body => 'x', own => 1);

both('none', undef, GET => '/none/', own => 1);

done_testing;
