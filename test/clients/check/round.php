<?php
// A tool round with openai-php's own classes. They index the keys of every answer, so a key that is missing ends this.
// php round.php BASE_URL AUTOLOAD: composer's vendor/autoload.php, or the folder of a checkout of openai-php/client
declare(strict_types=1);

[, $base, $autoload] = $argv;
set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $level, $file, $line);
});

if (is_file($autoload)) {
    require $autoload;
} else {
    // Guzzle and the PSR interfaces as Debian packages them.
    set_include_path('/usr/share/php');
    foreach (['Psr/Http/Message/autoload', 'Psr/Http/Message/factory-autoload', 'Psr/Http/Client/autoload', 'GuzzleHttp/autoload'] as $name) {
        require_once "$name.php";
    }
    spl_autoload_register(static function (string $class) use ($autoload): void {
        if (str_starts_with($class, 'OpenAI\\')) {
            require $autoload.'/src/'.str_replace('\\', '/', substr($class, 7)).'.php';
        }
    });
    require $autoload.'/src/OpenAI.php';
    // The client looks for a factory of messages at run time; Guzzle has one.
    class_alias(GuzzleHttp\Psr7\HttpFactory::class, 'Http\Discovery\Psr17Factory');
}

function must(bool $holds, string $what): void
{
    if (! $holds) {
        throw new Exception("not so: $what");
    }
    echo "  ok  $what\n";
}

$client = OpenAI::factory()->withApiKey('k')->withBaseUri($base)->withHttpClient(new GuzzleHttp\Client)->make();
$tool = ['type' => 'function', 'function' => ['name' => 'weather', 'parameters' => ['type' => 'object', 'properties' => [], 'required' => []]]];

$assistant = $client->assistants()->create(['model' => 'm', 'name' => 'php', 'tools' => [$tool], 'metadata' => []]);
must($assistant->tools[0]->function->name === 'weather', 'assistants()->create, with empty arrays for properties and metadata');
$again = $client->assistants()->modify($assistant->id, ['instructions' => 'Be brief.']);
must($again->instructions === 'Be brief.', 'assistants()->modify');
must(count($client->assistants()->list(['limit' => 5])->data) > 0, 'assistants()->list');
must($client->assistants()->retrieve($assistant->id)->toArray()['name'] === 'php', 'assistants()->retrieve and toArray');

$empty = $client->threads()->create([]);
must($client->threads()->retrieve($empty->id)->metadata === [], 'threads()->create([])');
$thread = $client->threads()->create(['messages' => [['role' => 'user', 'content' => 'Weather in Oslo?', 'metadata' => []]]]);
$client->threads()->messages()->create($thread->id, ['role' => 'user', 'content' => 'Now, please.']);
must(count($client->threads()->messages()->list($thread->id)->data) === 2, 'threads()->messages()->create and list');

$run = $client->threads()->runs()->create($thread->id, ['assistant_id' => $assistant->id]);
$wait = static function (array $until) use ($client, $thread, &$run): void {
    while (! in_array($run->status, $until, true)) {
        if (in_array($run->status, ['failed', 'expired', 'incomplete', 'cancelled'], true)) {
            throw new Exception("the run is $run->status: ".json_encode($run->lastError?->toArray()));
        }
        usleep(50_000);
        $run = $client->threads()->runs()->retrieve($thread->id, $run->id);
    }
};
$wait(['requires_action']);
$calls = $run->requiredAction->submitToolOutputs->toolCalls;
must($calls[0]->function->name === 'weather' && $run->tools[0]->function->description === '', 'threads()->runs()->create, polled to requires_action');
$outputs = array_map(static fn ($call): array => ['tool_call_id' => $call->id, 'output' => 'sunny'], $calls);
$run = $client->threads()->runs()->submitToolOutputs($thread->id, $run->id, ['tool_outputs' => $outputs]);
$wait(['completed']);
must($run->usage->totalTokens > 0, 'threads()->runs()->submitToolOutputs, polled to completed');
$text = $client->threads()->messages()->list($thread->id)->data[0]->content[0]->text->value;
must($text === 'It is sunny.', 'the answer in threads()->messages()->list');
$steps = $client->threads()->runs()->steps()->list($thread->id, $run->id)->data;
must(array_map(static fn ($step): string => $step->type, $steps) === ['message_creation', 'tool_calls'], 'threads()->runs()->steps()->list');
must($client->threads()->runs()->steps()->retrieve($thread->id, $run->id, $steps[1]->id)->stepDetails->toolCalls[0]->function->output === 'sunny', 'threads()->runs()->steps()->retrieve');

$hear = static function (iterable $stream): array {
    [$names, $said, $last] = [[], '', null];
    foreach ($stream as $event) {
        $names[] = $event->event;
        if ($event->event === 'thread.message.delta') {
            $said .= $event->response->delta->content[0]->text->value;
        }
        if (str_starts_with($event->event, 'thread.run.') && ! str_contains($event->event, 'step')) {
            $last = $event->response;
        }
    }

    return [$names, $said, $last];
};
$other = $client->threads()->create(['messages' => [['role' => 'user', 'content' => 'Weather?']]]);
[$names, , $waiting] = $hear($client->threads()->runs()->createStreamed($other->id, ['assistant_id' => $assistant->id]));
must(end($names) === 'thread.run.requires_action' && in_array('thread.run.step.delta', $names, true), 'threads()->runs()->createStreamed, to requires_action');
$call = $waiting->requiredAction->submitToolOutputs->toolCalls[0];
[$names, $said] = $hear($client->threads()->runs()->submitToolOutputsStreamed($other->id, $waiting->id, ['tool_outputs' => [['tool_call_id' => $call->id, 'output' => 'sunny']]]));
must(end($names) === 'thread.run.completed' && $said === 'It is sunny.', 'threads()->runs()->submitToolOutputsStreamed, to completed');
must(count($client->threads()->runs()->list($other->id)->data) === 1, 'threads()->runs()->list');

try {
    $client->threads()->retrieve('undefined');
    must(false, 'an unknown thread is refused');
} catch (OpenAI\Exceptions\ErrorException $refused) {
    must($refused->getStatusCode() === 404, 'an id that is none is refused as 404, as an ErrorException');
}
$chat = $client->chat()->create(['model' => 'm', 'messages' => [['role' => 'user', 'content' => 'Hi']]]);
must($chat->choices[0]->message->content === 'Hello.', 'chat()->create');
$said = '';
foreach ($client->chat()->createStreamed(['model' => 'm', 'messages' => [['role' => 'user', 'content' => 'Hi']]]) as $part) {
    $said .= $part->choices[0]->delta->content ?? '';
}
must($said === 'Hello.', 'chat()->createStreamed');
must(count($client->models()->list()->data) > 0, 'models()->list');
must($client->threads()->delete($other->id)->deleted && $client->assistants()->delete($assistant->id)->deleted, 'threads()->delete and assistants()->delete');
