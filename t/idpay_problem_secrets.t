#!/usr/bin/env perl

# A provider that echoes the gateway's credential in an error, in whatever
# spelling and wherever: the problem has the text without it.

use strict;
use warnings;

use Encode       qw(decode encode);
use MIME::Base64 qw(decode_base64 encode_base64);
use Mojo::JSON   qw(decode_json encode_json);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

# Encodings one over the other that are undone to look for a secret.
use constant LAYERS => 4;

# The beginning of a secret of so many characters is none that may be seen.
use constant PIECE => 8;

my $t = Test::Idpay->new;

# One that every encoding changes, and no two do alike.
my $odd = "q\"/+\\ %41&<\xc3\x9f\xe2\x82\xac>=~";

my $key      = $t->secret('key');
my $odd_key  = $t->secret('odd',  value => "odd-$odd-key");
my $user     = $t->secret('user', 'user-');
my $password = $t->secret('password', value => "pass:$odd-word");

my $fields = join "\n        ",
    'idpay_error_fields code=/code type=/type message=/message',
    '                   request_id=/request_id request_id=X-Request-ID',
    '                   status=/code errors=/errors field=/field',
    '                   field_code=/code field_message=/message;';

my $gate   = $t->sim('generic', name => 'gate', tls => 0);
my %preset = map { $_ => $t->sim($_, tls => 0) } qw(passportreader plasmapay);

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format echo '<\$upstream_http_x_request_id> <\$sent_http_x_request_id> '
                    '<\$upstream_http_allow> <\$sent_http_allow> '
                    '<\$idpay_code> <\$upstream_http_content_type>';

    upstream header {
        server          %%SIM_gate%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:$key;
        $fields
        %%UNLIMITED%%
    }
    upstream odd {
        server          %%SIM_gate%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      query key;
        idpay_secret    key file:$odd_key;
        $fields
        %%UNLIMITED%%
    }
    upstream basic {
        server          %%SIM_gate%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      basic;
        idpay_secret    user file:$user;
        idpay_secret    password file:$password;
        $fields
        %%UNLIMITED%%
    }
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        access_log %%TESTDIR%%/echo.log echo;

        location /header/         { idpay_pass header/; }
        location /odd/            { idpay_pass odd/; }
        location /basic/          { idpay_pass basic/; }
        location /passportreader/ { idpay_pass passportreader/; }
        location /plasmapay/      { idpay_pass plasmapay/; }

        location /unbuffered/ {
            proxy_buffering off;
            idpay_pass odd/;
        }

        location /off/ {
            idpay_errors off;

            location /off/header/         { idpay_pass header/; }
            location /off/odd/            { idpay_pass odd/; }
            location /off/basic/          { idpay_pass basic/; }
            location /off/passportreader/ { idpay_pass passportreader/; }

            location /off/unbuffered/ {
                proxy_buffering off;
                idpay_pass odd/;
            }
        }
    }
}
CONF
$t->run;

my %sim = (%preset, map { $_ => $gate } qw(header odd basic unbuffered));

my %value = map { $_ => $t->secret_value($_) } qw(key odd user password
    passportreader_public_key passportreader_secret plasmapay_api_key);

# What each call has of secrets.
my %secrets = (
    header         => [ $value{key} ],
    odd            => [ $value{odd} ],
    unbuffered     => [ $value{odd} ],
    basic          => [ @value{qw(password user)} ],
    passportreader =>
        [ @value{qw(passportreader_secret passportreader_public_key)} ],
    plasmapay => [ $value{plasmapay_api_key} ],
);
my %pair = map { $_ => join ':', @{ $secrets{$_} }[ 1, 0 ] }
    qw(basic passportreader);

# base64 of both tells both
push @{ $secrets{$_} }, $pair{$_} for keys %pair;

# How the provider's texts are called in its body.
my %member = (
    passportreader => { code => 'error_name', message => 'error_message' },
    plasmapay      => { map { $_ => $_ } qw(code message) },
);
my %all = map { $_ => $_ } qw(code type message request_id);


# Spellings. Characters are those of UTF-8; the others are of bytes.

sub chars { return map {ord} split //, decode('UTF-8', $_[0]) }

sub utf16 {
    return map { sprintf $_[0], $_ } unpack 'n*', encode('UTF-16BE', chr $_[1]);
}

# a character is encoded as a whole
sub percent {
    my ($value, $which, $format) = @_;

    my $chars = decode('UTF-8', $value);
    return encode('UTF-8', $chars =~ s{($which)}
        {join '', map { sprintf $format, $_ } unpack 'C*',
            encode('UTF-8', $1)}gesr);
}

my $any = qr/./s;

# the same ones in each run
my $turn = 0;
my $some = qr/.(?(?{ $turn++ % 3 })(*FAIL))/s;

my %spelling = (
    plain          => sub { $_[0] },
    'all percent'  => sub { percent($_[0], $any, '%%%02X') },
    'all percent, small' => sub { percent($_[0], $any, '%%%02x') },
    'percent'      => sub { percent($_[0], qr/[^A-Za-z0-9._~-]/, '%%%02X') },
    'some percent' => sub { percent($_[0], $some, '%%%02X') },
    'percent, a plus for a space' => sub {
        return percent($_[0], qr/[^A-Za-z0-9._~ -]/, '%%%02X') =~ tr/ /+/r;
    },
    'percent twice' => sub {
        return percent(percent($_[0], $some, '%%%02X'), qr/%/, '%%%02X');
    },
    'percent thrice' => sub {
        my $once = percent($_[0], qr/[^A-Za-z0-9]/, '%%%02x');
        return $once =~ s/%/%2525/gr;
    },
    'JSON'     => sub { substr encode_json([ decode('UTF-8', $_[0]) ]), 2, -2 },
    'all JSON' => sub { join '', map { utf16('\u%04x', $_) } chars($_[0]) },
    'all JSON, large' => sub {
        return join '', map { utf16('\u%04X', $_) } chars($_[0]);
    },
    'JSON twice' => sub {
        my $once = join '', map { utf16('\u%04x', $_) } chars($_[0]);
        return $once =~ s/\\/\\\\/gr;
    },
    'HTML' => sub {
        my %name = ('<' => 'lt', '>' => 'gt', '&' => 'amp', '"' => 'quot');
        return $_[0] =~ s/([<>&"])/&$name{$1};/gr;
    },
    'all HTML'      => sub { join '', map {"&#$_;"} chars($_[0]) },
    'all HTML, hex' => sub {
        return join '', map { sprintf '&#x%x;', $_ } chars($_[0]);
    },
    'JSON of percent' => sub {
        return percent($_[0], qr/[^A-Za-z0-9]/, '%%%02X') =~ s/%/\\u0025/gr;
    },
    'percent of HTML' => sub {
        return percent(join('', map {"&#$_;"} chars($_[0])), qr/[&#;]/,
            '%%%02X');
    },
    base64       => sub { encode_base64($_[0], '') },
    'base64url'  => sub { encode_base64($_[0], '') =~ tr{+/=}{-_}dr },
    'base64, percent' => sub {
        return percent(encode_base64($_[0], ''), qr/[^A-Za-z0-9]/, '%%%02X');
    },
    'base64, JSON' => sub { encode_base64($_[0], '') =~ s{/}{\\/}gr },
    'base64, one before'  => sub { encode_base64("x$_[0]", '') },
    'base64, two before'  => sub { encode_base64("yz$_[0]", '') },
    'base64, more around' => sub { encode_base64("xyz$_[0]12345", '') },
);


# Everything that can be read out of $text, itself too.
sub readings {
    my ($text, $layers) = @_;

    my %seen = ($text => 1);
    my @new  = ($text);

    for (1 .. $layers) {
        @new = grep { !$seen{$_}++ } map { decoded($_) } @new;
    }
    return keys %seen;
}


# Without the breaks between lines, those in a string of JSON.
sub unfolded { return $_[0] =~ s/(?:[\r\n]|\\[rn])+[ \t]*//gr }


sub decoded {
    my $text = shift;

    my %char = (lt => '<', gt => '>', amp => '&', quot => '"', apos => "'",
        b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
    my $byte = sub { $_[0] > 255 ? encode('UTF-8', chr $_[0]) : chr $_[0] };
    my $utf8 = sub {
        my $pairs = join '', @_;
        return encode('UTF-8', decode('UTF-16BE', pack 'H*', $pairs));
    };

    my @decoded = (
        unfolded($text),
        $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger,
        $text =~ tr/+/ /r =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger,
        $text =~ s{((?:\\u[0-9A-Fa-f]{4})+)|\\(.)}
            {defined $1 ? $utf8->($1 =~ s/\\u//gr) : $char{$2} // $2}gesr,
        $text =~ s{&(?:#(\d+)|#x([0-9a-f]+)|(\w+));}
            {defined $3 ? $char{$3} // ''
                : encode('UTF-8', chr($1 // hex $2))}geir,
    );
    for my $run ($text =~ m{([A-Za-z0-9+/_-]{6,})}g) {
        for my $from (0 .. 3) {
            push @decoded, decode_base64(substr($run, $from) =~ tr{-_}{+/}r);
        }
    }
    return @decoded;
}


# Whether a secret, or the beginning of one, can be read out of an answer.
sub exposed {
    my ($r, @values) = @_;

    my @texts = ($r->raw);
    my @left = eval { decode_json($r->body) };
    while (@left) {
        my $value = shift @left;
        push @left, %$value if ref $value eq 'HASH';
        push @left, @$value if ref $value eq 'ARRAY';
        push @texts, encode('UTF-8', $value)
            if defined $value && !ref $value;
    }
    my @pieces = map { substr $_, 0, PIECE } @values;

    return grep {
        my $text = $_;
        grep { index($text, $_) >= 0 } @pieces;
    } map { readings($_, LAYERS) } @texts;
}


# A form of a secret in every text of an error. It must not be seen, and
# what is around it must.
sub echo {
    my ($name, $place, $form, %rule) = @_;

    my $sim   = $sim{$place};
    my $names = $member{$place} // \%all;

    my $json = delete $rule{as_it_is}
        ? $form
        : substr encode_json([ decode('UTF-8', $form) ]), 2, -2;

    my $texts = join ',', map {qq("$names->{$_}":"$_ $json end")}
        sort keys %$names;
    my $errors = qq({"field":"f $json.","code":"c $json.","message":"$json"});

    $sim->behave->misbehave(status => 400, %rule,
        headers => [ [ 'Content-Type', 'application/json' ],
            @{ $rule{headers} // [] } ],
        body => "{$texts,\"errors\":[$errors]}");
    my $r = $t->post("/$place/", '{}');

    my @exposed = exposed($r, @{ $secrets{$place} });
    ok !@exposed, "$name: nothing of it" or diag($form, "\n", $r->raw);

    my $problem = $r->json;
    my $hidden = qr/\S*\*{3}\S*/;
    my %said = (
        code       => $problem->{provider_code},
        type       => $problem->{provider_type},
        message    => $problem->{detail},
        request_id => $problem->{provider_request_id},
    );
    delete $said{message} if $problem->{status} >= 500;

    # what is around it may be in lines
    my @odd = grep { unfolded($said{$_} // '') !~ /^$_ $hidden end$/ }
        grep { exists $names->{$_} } sort keys %said;
    is "@odd", '', "$name: what is around it" or diag($r->body);

    return $r;
}


# The test itself: what it looks for it would find.
for my $name (sort keys %spelling) {
    my $text = "message $spelling{$name}->($value{odd}) end";
    my $r = Test::Idpay::Response->new(raw => $text);
    ok scalar(exposed($r, $value{odd})), "$name would be found";
}


for my $name (sort keys %spelling) {
    for my $place (sort keys %secrets) {
        for my $i (0 .. $#{ $secrets{$place} }) {

            # of both of Basic, base64 alone is a secret beside its parts
            my $secret = $secrets{$place}[$i];
            my $form = $spelling{$name}->($secret);

            echo("$place, secret $i, $name", $place, $form)
                if $i < 2 || $name =~ /^base64/ && $name !~ /before|around/;
        }
    }
}

# Escapes that the body's JSON itself has.
for my $name (grep {/JSON/ && !/base64/} sort keys %spelling) {
    my $form = $spelling{$name}->($value{odd});
    echo("in the body, $name", 'odd', $form, as_it_is => 1);
    echo("in the body, $name, chunked", 'unbuffered', $form, as_it_is => 1,
        chunked => 1);
}



# base64 in lines, as of MIME and PEM, and shorter ones: alone, and so that the
# secret does not begin with the line.
sub in_lines {
    my ($text, $length, $end) = @_;
    return join $end, encode_base64($text, '') =~ /(.{1,$length})/g;
}

my %lines;
for my $place (qw(header odd basic passportreader unbuffered)) {
    for my $i (0 .. $#{ $secrets{$place} }) {
        my $secret = $secrets{$place}[$i];

        for ([ 10, "\n " ], map { [ $_, "\n" ], [ $_, "\r\n" ] } 10, 64, 76) {
            my ($length, $end) = @$_;

            for my $before (0, 41) {
                my $form = in_lines('-' x $before . $secret, $length, $end);
                my $name = sprintf '%s, secret %d, lines of %d %s, %d before',
                    $place, $i, $length, unpack('H*', $end), $before;
                push @{ $lines{$place} }, [ $name, $form ] if $form =~ /\n/;
            }
        }
    }
}

ok scalar(exposed(Test::Idpay::Response->new(raw => "message $_->[1] end"),
    @{ $secrets{header} })), "$_->[0] would be found" for @{ $lines{header} };

for my $place (sort keys %lines) {
    for (@{ $lines{$place} }) {
        my ($name, $form) = @$_;
        my $json = $form =~ s/\n/\\n/gr =~ s/\r/\\r/gr;

        echo($name, $place, $form);
        echo("$name, JSON in it", $place, $json, chunked => 1);

        # all of it passes, but what is the secret's
        for my $body ("message $form end", qq({"message":"$json"})) {
            my $sim = $sim{$place};
            for my $how ([], [ chunked => 1 ]) {
                $sim->behave->misbehave(status => 400, body => $body, @$how);
                my $r = $t->post("/off/$place/", '{}');
                my @exposed = exposed($r, @{ $secrets{$place} });
                ok !@exposed, "off: $name, @$how" or diag($r->raw);
                is length $r->body, length $body, 'its length';

                # the colon of a pair may be left, in a character of its own
                like $r->body, qr/^(?:message\ |\{"message":")[^*]*\*{10,}.?\**
                    [^*]*(?:\ end|"\})$/sx, 'what is around it';
            }
        }
    }
}

# In pieces.
for my $place (qw(odd unbuffered)) {
    my $form = in_lines("x$value{odd}", 20, "\r\n");
    my $body = "message $form end";
    my $json = '{"message":"' . $form =~ s/\r\n/\\r\\n/gr . '"}';

    for my $text ($body, $json) {
        my @rules = ([ body => $text, trickle_ms => 1, status => 500 ]);
        for my $size (1, 2, 7) {
            my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
                $text =~ /.{1,$size}/sg;
            push @rules, [ raw => "HTTP/1.1 400 Bad\r\n"
                    . "Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n" ];
        }
        for my $rule (@rules) {
            $gate->behave->misbehave(@$rule);
            my $r = $t->get("/off/$place/");
            is length $r->body, length $text, "in pieces, $place, @$rule[0, 2]";
            ok !exposed($r, $value{odd}), 'nothing of it' or diag $r->raw;
        }
    }
}


# Statuses of other ways to the answer.
for my $status (200, 401, 403, 404, 422, 429, 500, 503, 599, 700) {
    for my $name ('plain', 'some percent', 'base64') {
        my $form = $spelling{$name}->($value{odd});
        echo("$status, $name", 'odd', $form, status => $status)
            if $status != 200;

        $form = decode('UTF-8', $form);
        $gate->behave->misbehave(status => $status,
            headers => [ [ 'Content-Type', 'application/json' ] ],
            body    => encode_json({ code => '422', message => "m $form",
                type => $form, request_id => $form }));
        my $r = $t->get('/odd/');
        like $r->header('Content-Type'), qr/problem/, "$status is a problem";
        ok !exposed($r, $value{odd}), 'nothing of it';
    }
}
$t->expect_log(qr/"odd" refused the gateway's credential with status 401/,
    'what is logged of a 401');


# The bytes of a secret that is no ASCII, each taken for a character of
# ISO 8859-1.
{
    for my $name ('JSON', 'all JSON') {
        my $form = $spelling{$name}->(encode('UTF-8', $value{odd}));
        $gate->behave->misbehave(status => 400,
            body => qq({"message":"$form"}));
        ok !exposed($t->get('/odd/'), $value{odd}), "$name: nothing of it";
    }
}


# In headers.
for my $name (sort keys %spelling) {
    my $form = $spelling{$name}->($value{odd});

    for my $status (400, 405) {
        $gate->behave->misbehave(status => $status, body => '{}', headers => [
            [ 'X-Request-ID', "id $form end" ], [ 'Allow', "GET, $form, PUT" ],
            [ 'Content-Type', "text/$form; charset=$form" ],
            [ 'X-Other', $form ], [ 'WWW-Authenticate', "Bearer a=$form" ],
        ]);
        my $r = $t->get('/odd/');
        ok !exposed($r, $value{odd}), "in headers of a $status, $name"
            or diag($r->raw);
        like $r->json->{provider_request_id},
            qr/^id \S*\*{3}\S*(?: end|\.{3})$/, 'what is around it';
        like $r->header('Allow'), qr/^GET, .*\*{3}.*, PUT$/, 'in Allow, too'
            if $status == 405;
    }
}
$gate->behave->misbehave(raw => "HTTP/1.1 404 $value{key}\r\n"
        . "Content-Length: 2\r\n\r\n{}");
my $r = $t->get('/header/');
is $r->status, 404, 'in the status line';
ok !exposed($r, $value{key}), 'nothing of it';


# A text is cut where it has no secret any more.
my %length = (message => 1024, request_id => 128);
for my $member (sort keys %length) {
    for my $before (map { $length{$member} - $_ } 0 .. 48) {
        $gate->behave->misbehave(status => 400,
            body => encode_json({ $member => '.' x $before . $value{key} }));
        my $r = $t->get('/header/');
        my @exposed = exposed($r, $value{key});
        ok !@exposed, "a secret behind $before bytes of a $member";
    }
}
my $many = join ' ', map { $spelling{$_}->($value{key}) }
    grep { !/^base64, / } sort keys %spelling;
$many = "$many " x (60_000 / length $many);
$gate->behave->misbehave(status => 400,
    body => encode_json({ message => "all: $many" }));
$r = $t->get('/header/');
ok !exposed($r, $value{key}), 'hundreds of them';
like $r->json->{detail}, qr/^all: (?:\*\*\* )+(?:\**\.\.\.)?$/,
    'and all are hidden';

# What only looks like one stays.
my $near = join ' ', substr($value{key}, 0, -1), substr($value{key}, 1),
    $value{key} =~ tr/a-f/A-F/r . 'x';
$gate->behave->misbehave(status => 400,
    body => encode_json({ message => "100%25 <b>$near</b> %zz \\u12 a+b" }));
is $t->get('/header/')->json->{detail}, "100%25 <b>$near</b> %zz \\u12 a+b",
    'what is none';


# All calls are in the log, and the harness looks for secrets there.
my $calls = () = $t->read('echo.log') =~ /\n/g;
$t->get('/header/last');
ok wait_until(20, sub { (() = $t->read('echo.log') =~ /\n/g) > $calls }),
    'the log is written';
my @pieces = map { quotemeta substr $_, 0, PIECE } @value{qw(key odd)};
my $pieces = join '|', @pieces;
unlike $t->read('echo.log'), qr/$pieces/, 'no variable has a part of one';

done_testing;
